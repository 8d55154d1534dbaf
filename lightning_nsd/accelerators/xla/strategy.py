"""Lightning strategies for XLA devices: one device of this process, and all chips of a TPU host."""

import os
from typing import Any

from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import SingleDeviceXLAStrategy, XLAStrategy

from lightning_nsd.accelerators.precision import Precision
from lightning_nsd.accelerators.xla.accelerator import LocalXLAAccelerator
from lightning_nsd.accelerators.xla.device import (
    find_devices,
    has_tpu,
    require_installed,
    run_recorded,
    wait_for_devices,
)
from lightning_nsd.accelerators.xla.exact import use_exact_operations
from lightning_nsd.accelerators.xla.precision import make_precision
from lightning_nsd.checkpoints.io import AtomicCheckpointIO
from lightning_nsd.errors import UserError

PERSISTENT_CACHE = "XLA_PERSISTENT_CACHE_PATH"


class AtomicCheckpoints:
    """Checkpoints go through AtomicCheckpointIO, which copies to the CPU; Lightning insists on its XLACheckpointIO."""

    _checkpoint_io: CheckpointIO | None

    @property
    def checkpoint_io(self) -> CheckpointIO:
        return self._checkpoint_io or AtomicCheckpointIO()

    @checkpoint_io.setter
    def checkpoint_io(self, io: CheckpointIO | None) -> None:
        self._checkpoint_io = io

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None) -> None:
        """Run what is recorded, on every process, before the weights are read."""
        run_recorded()
        super().save_checkpoint(checkpoint, filepath, storage_options=storage_options)  # type: ignore[misc]


class BatchByBatch:
    """Every batch of an evaluation is one graph; Lightning would record them all, and run them with the next step."""

    def validation_step(self, *arguments: Any, **options: Any) -> Any:
        output = super().validation_step(*arguments, **options)  # type: ignore[misc]
        run_recorded()
        return output

    def test_step(self, *arguments: Any, **options: Any) -> Any:
        output = super().test_step(*arguments, **options)  # type: ignore[misc]
        run_recorded()
        return output


class SingleXLA(BatchByBatch, AtomicCheckpoints, SingleDeviceXLAStrategy):  # type: ignore[misc]
    """One XLA device, of the kind that PJRT_DEVICE names (CPU where it names none).

    Args:
        precision: 32-true or bf16-mixed.

    Raises:
        UserError: torch_xla is not installed.
    """

    def __init__(self, precision: Precision = "32-true") -> None:
        require_installed()
        find_devices()  # in a notebook a backward pass on the CPU may come before fit
        super().__init__(device=0, accelerator=LocalXLAAccelerator(), precision_plugin=make_precision(precision))

    def setup(self, trainer: Trainer) -> None:
        """Compute in XLA what eager computes."""
        use_exact_operations()
        super().setup(trainer)

    def optimizer_step(self, *arguments: Any, **options: Any) -> Any:
        """On the CPU device, wait for the step: it runs on the host's own cores, so going ahead of it gains little,
        and XLA counts an execution when it ends, so the trace report is exact."""
        import torch_xla.runtime as xr

        result = super().optimizer_step(*arguments, **options)
        if xr.device_type() == "CPU":
            wait_for_devices()
        return result


class TPU(BatchByBatch, AtomicCheckpoints, XLAStrategy):  # type: ignore[misc]
    """All chips of a TPU host, one process each.

    Args:
        precision: 32-true or bf16-mixed.
        cache_folder: where compiled graphs are kept for the next start.

    Raises:
        UserError: torch_xla is not installed, or this is no TPU host; found out without asking the network.
    """

    def __init__(self, precision: Precision = "bf16-mixed", cache_folder: str = "runs/xla_cache") -> None:
        require_installed()
        if not has_tpu():
            raise UserError(
                "tpu.yaml: this machine has no TPU (no /dev/accel* and no /dev/vfio devices). On any machine, "
                "`PJRT_DEVICE=CPU python -m lightning_nsd fit --config … --config xla_cpu.yaml` runs the same path."
            )
        os.environ.setdefault("PJRT_DEVICE", "TPU")
        os.environ.setdefault(PERSISTENT_CACHE, os.path.abspath(cache_folder))
        super().__init__(precision_plugin=make_precision(precision))

    def setup(self, trainer: Trainer) -> None:
        """Compute what eager computes; start this process's cache of compiled graphs."""
        import torch_xla.runtime as xr

        use_exact_operations()
        xr.initialize_cache(f"{os.environ[PERSISTENT_CACHE]}/{self.global_rank}", readonly=False)
        super().setup(trainer)

    def process_dataloader(self, dataloader: object) -> object:  # type: ignore[override]
        """Episodes are drawn by rank already and moved by the data module."""
        return dataloader
