"""What torch_xla answers to `accelerators/device.py`."""

import glob
import importlib.util
import os
from typing import NamedTuple

import torch

from lightning_nsd.errors import UserError


class Counters(NamedTuple):
    """torch_xla's counters since the process started.

    Attributes:
        compiled: graphs compiled.
        executed: graphs run.
        to_host: copies from the device to the host.
        compile_seconds: spent compiling.
        fallbacks: name of each `aten::` operation that ran on the host → how often.
    """

    compiled: int
    executed: int
    to_host: int
    compile_seconds: float
    fallbacks: dict[str, int]


def has_tpu() -> bool:
    """Whether the host shows TPU devices. Chips of v2 to v4 are accel devices, later ones come through VFIO."""
    return bool(glob.glob("/dev/accel[0-9]*") or glob.glob("/dev/vfio/[0-9]*"))


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


def run_recorded() -> None:
    """Run what was recorded so far as one graph."""
    import torch_xla

    torch_xla.sync()


def wait_for_devices() -> None:
    """Return once the XLA devices of this process have run all that was sent to them."""
    import torch_xla.core.xla_model as xm

    xm.wait_device_ops()


def seed_device(device: torch.device, seed: int) -> None:
    """Set the state that an XLA device draws from; it has no generators. Costs no compilation."""
    import torch_xla.core.xla_model as xm

    xm.set_rng_state(seed % 2**32, str(device))


def read_counters() -> Counters:
    """The counters now; reading them runs nothing."""
    import torch_xla.debug.metrics as met

    def metric(name: str) -> tuple[int, float]:
        data = met.metric_data(name)
        return (int(data[0]), float(data[1])) if data else (0, 0.0)

    return Counters(
        compiled=int(met.counter_value("UncachedCompile") or 0),
        executed=metric("ExecuteTime")[0] + metric("ExecuteReplicatedTime")[0],  # the latter under SPMD
        to_host=metric("TransferFromDeviceTime")[0],
        compile_seconds=metric("CompileTime")[1] / 1e9,
        fallbacks={n: int(met.counter_value(n)) for n in met.counter_names() if n.startswith("aten::")},
    )
