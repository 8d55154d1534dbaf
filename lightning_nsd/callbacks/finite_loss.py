"""Stops a run whose loss is not finite."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lightning_nsd.errors import UserError


class NonFiniteLossError(UserError):
    """The loss became NaN or infinite; says where, and what it was before."""


class FiniteLoss(Callback):
    """Raises NonFiniteLossError when the loss is not finite, before the weights are touched by it.

    On the CPU every step is looked at. On an accelerator looking means waiting for the device, so it is done at
    logging steps; checkpoints in between are kept clean by looking at the weights before they are written.
    """

    def __init__(self) -> None:
        self._last: float | None = None

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if loss.device.type == "cpu":
            self._check(trainer, loss)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"]
        if loss.device.type != "cpu" and trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._check(trainer, loss)

    def _check(self, trainer: Trainer, loss: Tensor) -> None:
        value = float(loss.detach())
        if not torch.isfinite(torch.tensor(value)):
            before = (
                "there was no finite loss before it"
                if self._last is None
                else f"the last finite loss was {self._last:.6g}"
            )
            raise NonFiniteLossError(
                f"The loss is {value} at step {trainer.global_step} (epoch {trainer.current_epoch}); {before}. The "
                "checkpoint in the run's folder is from before. A lower learning rate (model.optimizer.init_args.lr), "
                "trainer.gradient_clip_val 1.0, or precision 32 usually help."
            )
        self._last = value * trainer.accumulate_grad_batches
