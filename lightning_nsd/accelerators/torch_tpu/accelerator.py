"""A TPU of TorchTPU as Lightning's Trainer asks for it."""

import os
from typing import Any

import torch
from lightning.pytorch.accelerators import Accelerator

from lightning_nsd.accelerators.torch_tpu.device import DEVICE_TYPE
from lightning_nsd.errors import UserError


class TorchTPUAccelerator(Accelerator):
    """The TPU device of this process, which TorchTPU numbers 0 in every process.

    Several devices are several processes, started by torchrun, which says in LOCAL_WORLD_SIZE how many a host has.
    """

    def setup_device(self, device: torch.device) -> None:
        """Nothing to choose: TorchTPU binds a process to its device."""

    def teardown(self) -> None:
        """Nothing to undo."""

    @staticmethod
    def parse_devices(devices: Any) -> int:
        """The number of processes on this host, whatever form it was asked for in.

        Raises:
            UserError: another number than torchrun started.
        """
        count = TorchTPUAccelerator.auto_device_count()
        if str(devices) not in (str(count), "-1"):
            raise UserError(
                f"trainer.devices is {devices}, and {count} process{' computes' if count == 1 else 'es compute'} on "
                "this host: every TPU device needs one, started by torchrun (docs/tpu.md)."
            )
        return count

    @staticmethod
    def get_parallel_devices(devices: int) -> list[torch.device]:
        """The same name for every process: each sees its own device alone."""
        return [torch.device(DEVICE_TYPE, 0)] * devices

    @staticmethod
    def auto_device_count() -> int:
        return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))

    @staticmethod
    def is_available() -> bool:
        """The strategy has looked."""
        return True

    @staticmethod
    def name() -> str:
        return "torch_tpu"
