"""XLA on any machine: the same lazily recorded path as a TPU's, on torch_xla's CPU device."""

from typing import Any

import torch
from lightning.pytorch.accelerators import XLAAccelerator


class LocalXLAAccelerator(XLAAccelerator):
    """One XLA device of this process, whatever PJRT_DEVICE names; never looks for TPU chips."""

    @staticmethod
    def parse_devices(devices: Any) -> int:
        return 1

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        return [torch.device("xla", 0)]

    @staticmethod
    def auto_device_count() -> int:  # type: ignore[override]
        return 1

    @staticmethod
    def is_available() -> bool:  # type: ignore[override]
        return True

    @staticmethod
    def name() -> str:
        return "xla"
