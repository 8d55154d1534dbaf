"""TorchTPU's strategies, as far as no chip is needed: whether they can be had, what they choose, and precision."""

import sys
from types import SimpleNamespace

import pytest
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.utilities import rank_zero_only as pytorch_rank_zero_only

from lightning_nsd.accelerators.torch_tpu.precision import make_precision
from lightning_nsd.accelerators.torch_tpu.strategy import DataParallelTorchTPU, SingleTorchTPU
from lightning_nsd.cli import main
from lightning_nsd.errors import UserError
from tests.accelerators.conftest import UNNAMED
from tests.conftest import make_model

TPU = torch.device(UNNAMED, 0)


@pytest.fixture
def torchrun(monkeypatch):
    """The third of four processes that torchrun started on this host."""
    environment = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 4, "RANK": 2, "LOCAL_RANK": 2,
                   "GROUP_RANK": 0, "MASTER_ADDR": "localhost", "MASTER_PORT": 29500}  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    for rank in (rank_zero_only, pytorch_rank_zero_only):
        monkeypatch.setattr(rank, "rank", 0)  # a Trainer sets it for the process


def trainer(strategy, tmp_path, **settings):
    return Trainer(strategy=strategy, accelerator="auto", default_root_dir=tmp_path, logger=False,
                   enable_checkpointing=False, **settings)  # fmt: skip


# ---- whether it can be had ----


def refused():
    with pytest.raises(UserError) as error:
        SingleTorchTPU()
    with pytest.raises(UserError) as same:
        DataParallelTorchTPU()
    assert str(error.value) == str(same.value)
    return str(error.value)


@pytest.mark.usefixtures("tpu_host")
@pytest.mark.parametrize("version", ["2.9.1+cpu", "2.10.0"])
def test_a_torch_that_is_too_old_is_named(version, monkeypatch):
    monkeypatch.setattr(torch, "__version__", version)
    assert refused().startswith(f"torch_tpu.yaml needs torch 2.11 or later, and this is torch {version}: ")


@pytest.mark.usefixtures("tpu_host")
def test_without_torchtpu_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_tpu", None)
    assert "pip install 'lightning-nsd[torch-tpu]'" in refused()


@pytest.mark.usefixtures("tpu_host")
@pytest.mark.parametrize("found", [None, torch.device("cuda")], ids=str)
def test_a_machine_without_a_tpu_is_told_so(found, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: found)
    assert "torch found no TPU on this machine" in refused()


def test_the_shipped_overlay_ends_in_a_sentence_where_there_is_no_torchtpu(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "__version__", "2.10.0")
    assert main(["fit", "--config=glyphs.yaml", "--config=torch_tpu.yaml"]) == 2
    said = capsys.readouterr().err
    assert "torch_tpu.yaml needs torch 2.11 or later" in said
    assert "Traceback" not in said


# ---- what is chosen ----


@pytest.mark.usefixtures("tpu_host")
@pytest.mark.parametrize("devices", ["auto", 1, -1])
def test_one_device_is_the_tpu_of_this_process(devices, tmp_path):
    made = trainer(SingleTorchTPU(), tmp_path, devices=devices)
    assert (made.strategy.root_device, made.num_devices, made.world_size) == (TPU, 1, 1)


@pytest.mark.usefixtures("tpu_host", "torchrun")
def test_of_several_devices_every_process_has_its_own_and_calls_it_the_first(tmp_path):
    made = trainer(DataParallelTorchTPU(), tmp_path, devices="auto")
    assert (made.strategy.root_device, made.num_devices) == (TPU, 4)
    assert (made.world_size, made.global_rank, made.local_rank) == (4, 2, 2)
    assert made.strategy.process_group_backend == "tpu_dist"
    assert made.strategy.cluster_environment.creates_processes_externally


@pytest.mark.usefixtures("tpu_host", "torchrun")
def test_gradients_are_averaged_by_a_ddp_that_is_given_no_device_ids(tmp_path, monkeypatch):
    wrapped = []
    monkeypatch.setattr(
        "lightning.pytorch.strategies.ddp.DistributedDataParallel",
        lambda module, device_ids: wrapped.append(device_ids),
    )
    trainer(DataParallelTorchTPU(), tmp_path).strategy._setup_model(torch.nn.Linear(1, 1))
    assert wrapped == [None]


@pytest.mark.usefixtures("tpu_host")
def test_several_devices_without_torchrun_are_refused():
    with pytest.raises(UserError, match="a process for every TPU device, started by torchrun"):
        DataParallelTorchTPU()


@pytest.mark.usefixtures("tpu_host", "torchrun")
def test_one_device_in_four_processes_is_refused():
    with pytest.raises(UserError, match=r"torchrun started 4: take DataParallelTorchTPU"):
        SingleTorchTPU()


@pytest.mark.usefixtures("tpu_host")
def test_more_devices_than_processes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"trainer\.devices is 4, and 1 process computes on this host"):
        trainer(SingleTorchTPU(), tmp_path, devices=4)


# ---- precision ----


@pytest.mark.usefixtures("tpu_host")
@pytest.mark.parametrize(
    ("precision", "parity", "bits"),
    [
        ("32-true", False, "highest"),
        ("32-true", True, "highest"),
        ("bf16-mixed", True, "highest"),
        ("bf16-mixed", False, "medium"),
    ],
)
@pytest.mark.parametrize("kind", ["one", "several"])
def test_float32_products_have_all_bits_where_they_are_asked_for_before_anything_is_computed(
    kind, precision, parity, bits, monkeypatch, request
):
    if kind == "several":
        request.getfixturevalue("torchrun")
    done = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", done.append)  # TorchTPU puts its own in this place
    for base in (SingleDeviceStrategy, DDPStrategy):
        monkeypatch.setattr(base, "setup", lambda *_: done.append("set up"))
    strategy = {"one": SingleTorchTPU, "several": DataParallelTorchTPU}[kind](precision)
    strategy.setup(SimpleNamespace(lightning_module=make_model(parity=parity)))
    assert done == [bits, "set up"]


def test_mixed_precision_is_autocast_on_the_tpu(unnamed, monkeypatch):
    amp = SimpleNamespace(get_amp_supported_dtype=lambda: [torch.bfloat16], _is_in_bad_fork=lambda: False)
    monkeypatch.setattr(torch, UNNAMED, amp, raising=False)
    plugin = make_precision("bf16-mixed")
    assert isinstance(plugin, MixedPrecision) and plugin.scaler is None
    assert not torch.is_autocast_enabled(UNNAMED)
    with plugin.forward_context():
        assert torch.is_autocast_enabled(UNNAMED)
        assert torch.get_autocast_dtype(UNNAMED) == torch.bfloat16


def test_full_precision_is_lightnings_own():
    assert make_precision("32-true").precision == "32-true"
