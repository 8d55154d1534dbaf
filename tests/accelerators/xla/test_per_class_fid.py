"""Distances per class on an XLA device are those of the CPU."""

from itertools import count

import pytest
import torch

from lightning_nsd.accelerators.xla.strategy import SingleXLA
from tests.callbacks.conftest import make_callback, make_trainer
from tests.conftest import randomized
from tests.evaluation.conftest import SizedData, make_module, read_tables


def distances(root, monkeypatch, **options):
    """Of two classes; the noise of all images comes from the CPU, whose streams XLA's devices do not have."""
    calls, on_cpu = count(), torch.randn

    def randn(*shape, device, dtype, generator):
        """For images; contexts are not drawn in evaluation."""
        return on_cpu(*shape, dtype=dtype, generator=torch.Generator().manual_seed(next(calls))).to(device)

    module = make_module()
    randomized(module.evaluation_model)
    data = SizedData({"wolf": 30, "bee": 7})
    with monkeypatch.context() as patched:
        patched.setattr(torch, "randn", randn)
        make_trainer(root, make_callback(), **options).validate(module, data, verbose=False)
    return read_tables(root)[0]


def test_distances_on_xla_are_eagers(tmp_path, monkeypatch):
    eager = distances(tmp_path / "eager", monkeypatch)
    xla = distances(tmp_path / "xla", monkeypatch, strategy=SingleXLA(), accelerator="auto")
    assert eager.keys() == xla.keys() == {"wolf", "bee"}
    for name, row in eager.items():
        for column in ("fd_means", "kd_means", "floor", "precision", "recall"):
            assert float(xla[name][column]) == pytest.approx(float(row[column]), rel=1e-5, nan_ok=True), (name, column)
        assert float(row["fd_means"]) > 0.01
