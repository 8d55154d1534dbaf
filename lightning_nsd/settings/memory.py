"""Whether a network fits into memory, known before it is built."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from lightning_nsd.errors import UserError

COPIES = 2
"""The weights and their moving average."""
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def check_memory(make: Callable[[], nn.Module]) -> None:
    """Make a network without its numbers, and see how large it is.

    Raises:
        UserError: it is larger than the memory of this machine; names the widest layer.
    """
    if torch.get_default_device().type == "meta":
        return  # it is not going to have numbers
    try:
        with torch.device("meta"):
            network = make()
    except UserError:
        raise
    except Exception:  # a network of somebody else's that reads its numbers while it is built; building it will tell
        return
    sizes = {name: weight.numel() * weight.element_size() for name, weight in network.named_parameters()}
    needed, available = COPIES * sum(sizes.values()), memory_bytes()
    if needed > available:
        widest = max(sizes, key=sizes.__getitem__)
        shape = " × ".join(f"{side:,}" for side in network.get_parameter(widest).shape)
        raise UserError(
            f"The model needs {_gigabytes(needed)} for its weights and their moving average, and this machine has "
            f"{_gigabytes(available)}. Its widest layer is model.{widest} ({shape}): lower the widths or the depth."
        )


def memory_bytes() -> float:
    """The memory that this process may use, of the machine or of its container; infinite where it is not known."""
    try:
        of_machine: float = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        of_machine = float("inf")
    try:
        return min(of_machine, int(_CONTAINER_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no container, or one without a limit
        return of_machine


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB"
