"""Stops a run whose loss is not finite."""

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lightning_nsd.callbacks.run_checkpoint import ckpt_path_option, save_together
from lightning_nsd.errors import UserError
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.processes.group import Processes, is_logging_step


class NonFiniteLossError(UserError):
    """The loss became NaN or infinite; says where, and what it was before."""


class FiniteLoss(Callback):
    """Raises NonFiniteLossError when the loss is not finite, before the weights are touched by it.

    On the CPU every step is looked at. On an accelerator looking means waiting for the device, so it is done at
    logging steps; checkpoints in between are kept clean by looking at the weights before they are written.
    One process's loss ends all processes, together.
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
        if loss.device.type != "cpu" and is_logging_step(trainer):
            self._check(trainer, loss)

    def _check(self, trainer: Trainer, loss: Tensor) -> None:
        value, processes = float(loss.detach()), Processes(trainer.strategy)
        if processes.largest(not math.isfinite(value)):
            save_together(trainer)
            raise NonFiniteLossError(self._explain(trainer, processes.gather_objects(value)))
        self._last = value * trainer.accumulate_grad_batches

    def _explain(self, trainer: Trainer, losses: list[float]) -> str:
        broken = next(rank for rank, value in enumerate(losses) if not math.isfinite(value))
        before = "there was no finite loss before it"
        if self._last is not None:
            before = f"the last finite loss was {self._last:.6g}"
        where = f" in process {broken}" if len(losses) > 1 else ""
        return (
            f"The loss is {losses[broken]} at step {trainer.global_step} (epoch {trainer.current_epoch}){where}; "
            f"{before}. A lower learning rate usually helps: give the same command with `{_go_on_slower(trainer)}`. So "
            "do trainer.gradient_clip_val 1.0 and precision 32."
        )


def _go_on_slower(trainer: Trainer) -> str:
    """Options that go on from the newest checkpoint, if there is one, at a tenth of every rate."""
    module: FewShotDiffusion = trainer.lightning_module  # type: ignore[assignment]
    own_rates = {"encoder": module.encoder_lr, "denoiser": module.denoiser_lr}
    options = {}
    for group in trainer.optimizers[0].param_groups:
        name = "optimizer.lr" if own_rates[group["part"]] is None else f"{group['part']}_lr"
        options[f"--model.{name}"] = f"{group['initial_lr'] / 10:.2g}"
    rates = " ".join(f"{option} {rate}" for option, rate in options.items())
    return " ".join(filter(None, [ckpt_path_option(trainer), rates]))
