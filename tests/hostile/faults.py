"""Faults of one process among several, as callbacks that a command line can name."""

import os
import signal
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_nsd.checkpoints.io import AtomicCheckpointIO
from lightning_nsd.data.episodes import EpisodeBatch


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


class Fault(Callback):
    """Does something wrong at the start of a step, in one process alone.

    Args:
        kind: `disk`: checkpoints cannot be written in this step; `nan`: the images, and so the loss, are NaN; `error`:
            an exception; otherwise the name of a signal that reaches the process.
        rank: of the process.
        step: optimiser steps that were taken.
        evaluating: a signal comes in the evaluation after the step instead, before distances are computed.
    """

    def __init__(self, kind: str, rank: int, step: int, evaluating: bool = False) -> None:
        self.kind, self.rank, self.step, self.evaluating = kind, rank, step, evaluating
        self._save = AtomicCheckpointIO.save_checkpoint

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: EpisodeBatch, _: int) -> None:
        if trainer.global_rank != self.rank:
            return
        AtomicCheckpointIO.save_checkpoint = self._save  # type: ignore[method-assign]
        if trainer.global_step != self.step or self.evaluating:
            return
        if self.kind == "disk":
            AtomicCheckpointIO.save_checkpoint = full_disk  # type: ignore[method-assign,assignment]
        elif self.kind == "nan":
            batch.images.fill_(float("nan"))
        elif self.kind == "error":
            raise RuntimeError("out of memory, say")
        else:
            os.kill(os.getpid(), signal.Signals[self.kind])

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.evaluating and trainer.global_rank == self.rank and trainer.global_step == self.step:
            os.kill(os.getpid(), signal.Signals[self.kind])
