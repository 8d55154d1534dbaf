"""Kernels by which a GPU computes faster, and rounds differently."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_nsd.errors import UserError
from lightning_nsd.module import FewShotDiffusion


class FastKernels(Callback):
    """TensorFloat-32 for products that are left in float32, and images with their channels innermost.

    Weights keep float32. What is torch's own is as it was when the command ends.

    Args:
        tf32: round the factors of float32 products to 10 bits, on cards that have TensorFloat-32.
        channels_last: keep weights of convolutions channels-last, as tensor cores read them. Values and checkpoints
            are the same; only their order in memory is another.
    """

    def __init__(self, tf32: bool = True, channels_last: bool = True) -> None:
        self.tf32 = tf32
        self.channels_last = channels_last
        self._before: str | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Raises UserError for a run that is compared number by number."""
        if not self.tf32:
            return
        if isinstance(pl_module, FewShotDiffusion) and pl_module.parity:
            raise UserError(
                "FastKernels.tf32 rounds float32 products, and model.parity holds them against a reference: set one of "
                "the two to false."
            )
        self._before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.channels_last:
            pl_module.to(memory_format=torch.channels_last)

    def teardown(self, *_: Any, **__: Any) -> None:
        self._restore()

    def on_exception(self, *_: Any, **__: Any) -> None:
        self._restore()

    def _restore(self) -> None:
        if self._before is not None:
            torch.set_float32_matmul_precision(self._before)
            self._before = None
