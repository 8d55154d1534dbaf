"""SPMD: one process, all its XLA devices, the batch shared out by the compiler."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lightning_nsd.accelerators.precision import Precision
from lightning_nsd.accelerators.xla.device import require_installed
from lightning_nsd.accelerators.xla.strategy import SingleXLA
from lightning_nsd.errors import UserError

AXIS = "data"


class SPMD(SingleXLA):
    """Shards the batch over every device of this process along one axis; `data.batch_size` is the global batch.

    The program is that of one device; XLA's partitioner splits it and adds the collectives (GSPMD, arXiv 2105.04663).

    Args:
        precision: 32-true or bf16-mixed.
        shard_parameters: share every parameter out too, along its largest axis that divides (as FSDP does), instead
            of keeping a copy on every device.

    Raises:
        UserError: torch_xla is not installed, XLA's devices are in use already, or a batch does not divide by their
            number.
    """

    def __init__(self, precision: Precision = "32-true", shard_parameters: bool = False) -> None:
        require_installed()
        import torch_xla
        import torch_xla.distributed.spmd as xs
        import torch_xla.runtime as xr

        if torch_xla._XLAC._xla_runtime_is_initialized() and not xr.is_spmd():
            # torch_xla would go on, and crash in the first step.
            raise UserError("SPMD has to be chosen before the first tensor of the process is on an XLA device.")
        xr.use_spmd()
        super().__init__(precision)
        self.shard_parameters = shard_parameters
        self.num_devices = xr.global_runtime_device_count()
        self.mesh = xs.Mesh(np.arange(self.num_devices), (self.num_devices,), (AXIS,))

    def setup(self, trainer: Trainer) -> None:
        """Place the parameters."""
        super().setup(trainer)
        if self.shard_parameters:
            for parameter in self.model.parameters():  # type: ignore[union-attr]
                self._shard(parameter, largest_divisible_axis(parameter.shape, self.num_devices))

    def batch_to_device(self, batch: Any, device: torch.device | None = None, dataloader_idx: int = 0) -> Any:
        """Move a batch and share out its first axis."""
        moved = super().batch_to_device(batch, device, dataloader_idx)
        for values in moved:
            if isinstance(values, Tensor):
                if len(values) % self.num_devices:
                    raise UserError(
                        f"data.batch_size: a batch of {len(values)} episodes does not divide by the "
                        f"{self.num_devices} devices that it is shared out over."
                    )
                self._shard(values, 0)
        return moved

    def _shard(self, values: Tensor, axis: int | None) -> None:
        import torch_xla.distributed.spmd as xs

        if axis is not None:
            xs.mark_sharding(values, self.mesh, tuple(AXIS if i == axis else None for i in range(values.dim())))


def largest_divisible_axis(shape: torch.Size, parts: int) -> int | None:
    """The longest axis whose length divides into `parts`; None if there is none."""
    axes = [axis for axis, length in enumerate(shape) if length % parts == 0]
    return max(axes, key=lambda axis: shape[axis], default=None)
