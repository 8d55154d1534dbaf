"""A TPU under TorchTPU is asked as torch's own devices are: it computes at once, and has generators."""

from types import SimpleNamespace

import pytest
import torch

from lightning_nsd.accelerators import device as devices
from lightning_nsd.accelerators.trace_report import TraceReport
from lightning_nsd.errors import UserError
from lightning_nsd.rng import Stream, device_generator, mix
from tests.accelerators.conftest import UNNAMED
from tests.conftest import make_model

CPU = torch.device("cpu")
TPU = torch.device(UNNAMED, 0)


@pytest.fixture
def no_xla(monkeypatch):
    """Fails where torch_xla is asked."""
    for question in ("run_recorded", "wait_for_devices", "seed_device", "read_counters"):
        monkeypatch.setattr(devices.xla, question, lambda *_, question=question: pytest.fail(question))


@pytest.mark.usefixtures("no_xla")
@pytest.mark.parametrize("device", [CPU, TPU], ids=str)
def test_a_device_that_computes_at_once_has_nothing_to_run(device):
    assert not devices.is_recorded(device)
    devices.run_recorded(device)


@pytest.mark.usefixtures("no_xla")
def test_torch_waits_for_a_tpu_and_not_for_a_cpu(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    devices.wait_for(CPU)
    devices.wait_for(TPU)
    assert waited == [TPU]


@pytest.mark.usefixtures("no_xla")
def test_the_numbers_of_a_tpu_come_from_a_generator_there_that_starts_from_their_key(monkeypatch):
    class Generator:
        def __init__(self, device):
            self.device = device

        def manual_seed(self, seed):
            self.seed = seed
            return self

    monkeypatch.setattr(torch, "Generator", Generator)  # a real one of a TPU needs a TPU
    made = device_generator(TPU, 3, Stream.SAMPLING)
    assert (made.device, made.seed) == (TPU, mix(3, Stream.SAMPLING))


def test_dropout_on_a_tpu_is_keyed_by_the_batch(monkeypatch):
    seeds = []
    monkeypatch.setattr(
        torch, UNNAMED, SimpleNamespace(_is_in_bad_fork=lambda: False, manual_seed_all=seeds.append), raising=False
    )
    make_model(seed=7).on_train_batch_start(SimpleNamespace(number=5), 0)
    assert seeds[-1] == mix(7, Stream.TRAIN_GLOBAL, 5, 0)


@pytest.mark.usefixtures("no_xla")
@pytest.mark.parametrize("device", [CPU, TPU], ids=str)
def test_graphs_are_counted_where_there_are_some(device):
    with pytest.raises(UserError, match=f"device of type {device.type} computes at once"):
        devices.read_counters(device)
    with pytest.raises(UserError, match="not on an XLA device"):
        TraceReport().on_fit_start(SimpleNamespace(global_step=0), SimpleNamespace(device=device))
