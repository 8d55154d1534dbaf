"""What the rest of the package may ask of an XLA device without knowing torch_xla."""

import glob
import importlib.util
import os

import torch

from lightning_nsd.errors import UserError


def has_tpu() -> bool:
    """Whether the host shows TPU devices. Chips of v2 to v4 are accel devices, later ones come through VFIO."""
    return bool(glob.glob("/dev/accel[0-9]*") or glob.glob("/dev/vfio/[0-9]*"))


def answer_for_lightning() -> None:
    """Keep Lightning from asking the network for a TPU on a host that has none.

    Every Trainer counts TPU devices where torch_xla is installed, as chips times cores per chip, and asks a metadata
    server for the kind of chip even if there is none; once JAX has been imported that fails. Any kind will do here.
    Called before this package makes a Trainer; a program that imports JAX and makes one of its own has to do the same.
    """
    if is_installed() and not has_tpu():
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
        os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v4-8")


def is_installed() -> bool:
    """Whether torch_xla is there."""
    return importlib.util.find_spec("torch_xla") is not None


def require_installed() -> None:
    """Raises UserError without torch_xla."""
    if not is_installed():
        raise UserError("This configuration needs torch-xla: pip install 'lightning-nsd[tpu]' (Linux on x86-64).")


def find_devices() -> None:
    """Start XLA. Autograd counts the devices at the first backward pass of a process; one that comes later crashes."""
    import torch_xla

    os.environ.setdefault("PJRT_DEVICE", "CPU")
    torch_xla.device()


def is_xla(device: torch.device) -> bool:
    """Whether tensors of the device are recorded and run later."""
    return device.type == "xla"


def run_recorded(device: torch.device) -> None:
    """Run what was recorded for the device so far as one graph; nothing to do on other devices."""
    if is_xla(device):
        import torch_xla

        torch_xla.sync()


def wait_for_device() -> None:
    """Return once the XLA devices of this process have run all that was sent to them."""
    import torch_xla.core.xla_model as xm

    xm.wait_device_ops()


def seed_device(device: torch.device, seed: int) -> None:
    """Set the state that an XLA device draws from; it has no generators. Costs no compilation."""
    import torch_xla.core.xla_model as xm

    xm.set_rng_state(seed % 2**32, str(device))
