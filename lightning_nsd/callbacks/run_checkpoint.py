"""Checkpoints every few steps, at the end, and when a run is stopped, each one a state to continue from exactly."""

import copy
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_nsd.checkpoint_io import CHECKPOINT_FOLDER, LAST, link_atomically
from lightning_nsd.numbers import Interval, Kept, bounded


@bounded("checkpoint")
class RunCheckpoint(Checkpoint):
    """Writes `checkpoints/step=….ckpt` in the run's folder; `last.ckpt` is the newest of them.

    A checkpoint always holds the state between two optimiser steps, whenever it is written.

    Args:
        every_n_train_steps: optimiser steps between checkpoints; one more is written at the end, on Ctrl-C, SIGTERM
            or an exception.
        keep: how many of the newest are kept, at least 2, so that one is left if the newest is damaged.

    Raises:
        UserError: a number that is too small.
    """

    def __init__(self, every_n_train_steps: Interval = 1000, keep: Kept = 2) -> None:
        self.every_n_train_steps = every_n_train_steps
        self.keep = keep
        self._step = 0
        self._written = -1
        self._loops: dict[str, Any] | None = None
        self._updating = False

    # ---- when ----

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step = self._written = trainer.global_step
        optimizer = trainer.optimizers[0]
        optimizer.register_step_post_hook(lambda *_: self._set_updating(False))

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self._set_updating(True)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step == self._step:
            return  # gradients are still being accumulated
        self._step = trainer.global_step
        self._loops = copy.deepcopy(trainer.fit_loop.state_dict())
        if self._step % self.every_n_train_steps == 0:
            self.save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._written != self._step:
            self.save(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if (not trainer.training and not trainer.validating) or self._loops is None:
            return
        if self._updating:
            rank_zero_warn("The run stopped while weights were being updated; the last checkpoint is left as it is.")
        elif self._written != self._step:
            self.save(trainer)
        rank_zero_info("To go on from the last checkpoint, give the same command with --ckpt_path last.")

    def _set_updating(self, updating: bool) -> None:
        self._updating = updating

    # ---- how ----

    def save(self, trainer: Trainer) -> None:
        """Write the state after the last optimiser step. A checkpoint that cannot be written is a warning."""
        if not _is_finite(trainer.lightning_module):
            rank_zero_warn(
                f"The weights are not finite at step {self._step}; no checkpoint is written over a good one."
            )
            return
        folder = Path(trainer.default_root_dir) / CHECKPOINT_FOLDER
        path = folder / f"step={self._step:08d}.ckpt"
        try:
            trainer.save_checkpoint(path, weights_only=False)
            if trainer.is_global_zero:
                link_atomically(path, folder.parent / LAST)
                for old in sorted(folder.glob("step=*.ckpt"))[: -self.keep]:
                    old.unlink()
        except OSError as error:
            rank_zero_warn(f"The checkpoint of step {self._step} could not be written ({error}); training goes on.")
            return
        self._written = self._step
        rank_zero_info(f"Checkpoint of step {self._step}: {folder.parent / LAST}")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the counters of the last optimiser step in place of those of a batch that was broken off."""
        if self._loops is not None:
            checkpoint["loops"]["fit_loop"] = self._loops
            checkpoint["global_step"] = self._step


def _is_finite(module: LightningModule) -> bool:
    """Whether every weight is finite; the only time that weights are read back."""
    flags = [parameter.detach().isfinite().all() for parameter in module.parameters()]
    return bool(torch.stack(flags).all()) if flags else True
