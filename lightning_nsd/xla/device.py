"""What the rest of the package may ask of an XLA device without knowing torch_xla."""

import importlib.util

import torch

from lightning_nsd.errors import UserError


def is_installed() -> bool:
    """Whether torch_xla is there."""
    return importlib.util.find_spec("torch_xla") is not None


def require_installed() -> None:
    """Raises UserError without torch_xla."""
    if not is_installed():
        raise UserError("This configuration needs torch-xla: pip install 'lightning-nsd[tpu]' (Linux on x86-64).")


def is_xla(device: torch.device) -> bool:
    """Whether tensors of the device are recorded and run later."""
    return device.type == "xla"


def run_recorded(device: torch.device) -> None:
    """Run what was recorded for the device so far as one graph; nothing to do on other devices."""
    if is_xla(device):
        import torch_xla

        torch_xla.sync()


def seed_device(device: torch.device, seed: int) -> None:
    """Set the state that an XLA device draws from; it has no generators. Costs no compilation."""
    import torch_xla.core.xla_model as xm

    xm.set_rng_state(seed % 2**32, str(device))
