"""Whether TorchTPU is there, and a TPU with it.

Nothing here imports torch_tpu: torch does so itself as it is imported, and where the host has a TPU that registers the
device `tpu`. Where it has none there is no such device, and torch has no word for it.
"""

import importlib.util

import torch
from torch.torch_version import TorchVersion

from lightning_nsd.errors import UserError

DEVICE_TYPE = "tpu"
OLDEST_TORCH = "2.11"


def require_device() -> None:
    """Whether this process can compute on a TPU.

    Raises:
        UserError: torch is too old for TorchTPU, TorchTPU is not installed, or torch found no TPU.
    """
    if TorchVersion(torch.__version__) < OLDEST_TORCH:
        raise UserError(
            f"torch_tpu.yaml needs torch {OLDEST_TORCH} or later, and this is torch {torch.__version__}: install "
            "'lightning-nsd[torch-tpu]' in an environment of its own, without constraints.txt."
        )
    if importlib.util.find_spec("torch_tpu") is None:
        raise UserError("torch_tpu.yaml needs TorchTPU: pip install 'lightning-nsd[torch-tpu]' (Linux on x86-64).")
    found = torch.accelerator.current_accelerator(check_available=True)  # torch.tpu.is_available refuses all but torch
    if found is None or found.type != DEVICE_TYPE:
        raise UserError(
            "torch_tpu.yaml: torch found no TPU on this machine. TorchTPU sees TPU v4 and later, through VFIO, and is "
            "not loaded where TORCH_DEVICE_BACKEND_AUTOLOAD is 0."
        )
