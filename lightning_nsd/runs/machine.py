"""What a run was made with: versions and machine, without a word about whose it is."""

import os
import platform
from pathlib import Path

import lightning
import torch

from lightning_nsd import __version__
from lightning_nsd.settings.memory import memory_bytes

_PROCESSORS = Path("/proc/cpuinfo")


def versions() -> dict[str, str]:
    """Versions of what a run's numbers depend on."""
    return {
        "lightning_nsd": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": lightning.__version__,
    }


def device_name(device: torch.device) -> str:
    """What computes: a GPU's name, or the processor's kind and the threads that are used of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"{platform.machine()} CPU, {threads} thread{'s' if threads > 1 else ''}"
    return device.type


def machine(device: torch.device) -> dict[str, str]:
    """The machine that a device is in: no name of it, of its user or of a folder."""
    memory = memory_bytes()
    found = {
        "device": device_name(device),
        "processor": _processor(),
        "cores": str(_cores()),
        "memory": f"{memory / 2**30:.1f} GiB" if memory < float("inf") else "",
        "system": f"{platform.system()} {platform.machine()}",
    }
    return {name: text for name, text in found.items() if text}


def _processor() -> str:
    try:
        lines = _PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
