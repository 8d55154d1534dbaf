"""A host with TorchTPU and a TPU, as far as this package asks."""

import importlib.machinery
import sys
from types import ModuleType

import pytest
import torch

torch.utils.rename_privateuse1_backend("tpu")  # as TorchTPU does where it finds one: the name, without a device


@pytest.fixture
def tpu_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that TorchTPU takes, TorchTPU, and a TPU that torch found."""
    package = ModuleType("torch_tpu")
    package.__spec__ = importlib.machinery.ModuleSpec("torch_tpu", None)
    monkeypatch.setitem(sys.modules, "torch_tpu", package)
    monkeypatch.setattr(torch, "__version__", "2.14.1")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device("tpu"))
