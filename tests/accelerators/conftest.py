"""A host with TorchTPU and a TPU, as far as this package asks."""

import importlib.machinery
import sys
from types import ModuleType

import pytest
import torch

UNNAMED = "privateuseone"
"""torch's name of a device of others, until TorchTPU renames it to `tpu`, for the process and for good."""
NAMED_BY = ("device", "accelerator", "precision", "strategy")


@pytest.fixture
def unnamed(monkeypatch: pytest.MonkeyPatch) -> str:
    """The package under a name that torch knows without TorchTPU."""
    for module in NAMED_BY:
        monkeypatch.setattr(f"lightning_nsd.accelerators.torch_tpu.{module}.DEVICE_TYPE", UNNAMED)
    return UNNAMED


@pytest.fixture
def tpu_host(unnamed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that TorchTPU takes, TorchTPU, and a TPU that torch found."""
    package = ModuleType("torch_tpu")
    package.__spec__ = importlib.machinery.ModuleSpec("torch_tpu", None)
    monkeypatch.setitem(sys.modules, "torch_tpu", package)
    monkeypatch.setattr(torch, "__version__", "2.14.1")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device(unnamed))
