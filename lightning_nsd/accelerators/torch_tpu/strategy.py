"""Lightning strategies for TPUs under TorchTPU: one device, and data parallel over several.

TorchTPU is eager: there are no graphs to end, and generators are torch's own. No run on a chip was ever made: what is
called was checked against torch_tpu 0.2.0 with torch 2.14, whose device module, seeds, launcher and precision can be
asked without one.
"""

import os

import torch
from lightning.fabric.plugins.environments import TorchElasticEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from lightning_nsd.accelerators.precision import Precision
from lightning_nsd.accelerators.torch_tpu.accelerator import TorchTPUAccelerator
from lightning_nsd.accelerators.torch_tpu.device import DEVICE_TYPE, require_device
from lightning_nsd.accelerators.torch_tpu.precision import make_precision, set_float32_products
from lightning_nsd.errors import UserError

PROCESS_GROUP = "tpu_dist"
"""The name under which TorchTPU registers its collectives with torch.distributed."""


class ChosenProducts:
    """Float32 products have the bits that the strategy's precision and the model's `parity` ask for."""

    precision: Precision

    def setup(self, trainer: Trainer) -> None:
        """Before anything is computed on the device."""
        parity = bool(getattr(trainer.lightning_module, "parity", False))
        set_float32_products(self.precision, parity)
        super().setup(trainer)  # type: ignore[misc]


class SingleTorchTPU(ChosenProducts, SingleDeviceStrategy):
    """One TPU device of TorchTPU, in this process. Never run on a chip.

    Args:
        precision: 32-true or bf16-mixed.

    Raises:
        UserError: TorchTPU is not installed, torch is too old for it, torch found no TPU, or torchrun started several
            processes, each of which would train alone.
    """

    def __init__(self, precision: Precision = "bf16-mixed") -> None:
        require_device()
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        if processes > 1:
            raise UserError(
                f"SingleTorchTPU trains in one process, and torchrun started {processes}: take DataParallelTorchTPU as "
                "trainer.strategy, as docs/tpu.md shows."
            )
        super().__init__(
            device=torch.device(DEVICE_TYPE, 0),
            accelerator=TorchTPUAccelerator(),
            precision_plugin=make_precision(precision),
        )
        self.precision = precision


class DataParallelTorchTPU(ChosenProducts, DDPStrategy):
    """Several TPU devices of TorchTPU, a process each, gradients averaged by DDP. Never run on chips.

    `data.batch_size` is per device. TorchTPU wants its environment made before the processes start, and its launcher
    is torchrun: see docs/tpu.md.

    Args:
        precision: 32-true or bf16-mixed.

    Raises:
        UserError: TorchTPU is not installed, torch is too old for it, torch found no TPU, or torchrun did not start
            this process.
    """

    def __init__(self, precision: Precision = "bf16-mixed") -> None:
        require_device()
        if not TorchElasticEnvironment.detect():
            raise UserError(
                "DataParallelTorchTPU needs a process for every TPU device, started by torchrun: docs/tpu.md has the "
                "two commands."
            )
        super().__init__(
            accelerator=TorchTPUAccelerator(),
            precision_plugin=make_precision(precision),
            process_group_backend=PROCESS_GROUP,
        )
        self.precision = precision

    def determine_ddp_device_ids(self) -> None:
        """None: TorchTPU's DDP takes no device ids, since a process has one device."""
