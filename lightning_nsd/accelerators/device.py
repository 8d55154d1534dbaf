"""What the rest of the package asks of a device, whichever back end computes on it.

XLA records operations and runs them later as one graph, and has a state instead of generators. All other devices, a TPU
under TorchTPU among them, compute at once and have generators: they are asked as torch itself asks them.
"""

import os

import torch

from lightning_nsd.accelerators.xla import device as xla
from lightning_nsd.errors import UserError


def is_recorded(device: torch.device) -> bool:
    """Whether operations on the device are recorded and run later."""
    return device.type == "xla"


def run_recorded(device: torch.device) -> None:
    """Run what was recorded for the device so far as one graph; nothing to do on devices that compute at once."""
    if is_recorded(device):
        xla.run_recorded()


def wait_for(device: torch.device) -> None:
    """Return once the device has run all that was sent to it; a CPU always has."""
    if is_recorded(device):
        xla.wait_for_devices()
    elif device.type != "cpu":
        torch.accelerator.synchronize(device)  # torch.tpu.synchronize refuses callers other than torch


def keyed_generator(device: torch.device, seed: int) -> torch.Generator | None:
    """A generator of the device that starts from `seed`; None where the device's own state was set to it instead."""
    if is_recorded(device):
        xla.seed_device(device, seed)
        return None
    return torch.Generator(device).manual_seed(seed)


def read_counters(device: torch.device) -> xla.Counters:
    """What the device's back end has counted since the process started; reading runs nothing.

    Raises:
        UserError: the device computes at once, and counts no graphs.
    """
    if not is_recorded(device):
        raise UserError(f"Graphs are counted on XLA devices alone; a device of type {device.type} computes at once.")
    return xla.read_counters()


def answer_for_lightning() -> None:
    """Keep Lightning from asking the network for a TPU on a host that has none.

    Every Trainer counts TPU devices where torch_xla is installed, as chips times cores per chip, and asks a metadata
    server for the kind of chip even if there is none; once JAX has been imported that fails. Any kind will do here.
    Called before this package makes a Trainer; a program that imports JAX and makes one of its own has to do the same.
    """
    if xla.is_installed() and not xla.has_tpu():
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
        os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v4-8")
