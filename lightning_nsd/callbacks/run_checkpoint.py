"""Checkpoints every few steps, at the end, and when a run is stopped, each one a state to continue from exactly."""

import copy
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import link_atomically
from lightning_nsd.processes.group import Processes
from lightning_nsd.runs.branch import LAST, checkpoint_path, continued, record_branch
from lightning_nsd.settings.numbers import Interval, Kept, bounded


@bounded("checkpoint")
class RunCheckpoint(Checkpoint):
    """Writes `checkpoints/step=….ckpt` in the run's folder; `last.ckpt` is the newest of them.

    A checkpoint always holds the state between two optimiser steps, whenever it is written.

    Args:
        every_n_train_steps: optimiser steps between checkpoints; one more is written at the end, on Ctrl-C, SIGTERM
            or an exception.
        keep: how many of the newest of this run are kept, at least 2, so that one is left if the newest is damaged.

    Attributes:
        saved: the newest checkpoint of the run, None before there is one.
        failure: why the state after the last step is not saved, None if it is.

    Raises:
        UserError: a number that is too small.
    """

    def __init__(self, every_n_train_steps: Interval = 1000, keep: Kept = 2) -> None:
        self.every_n_train_steps = every_n_train_steps
        self.keep = keep
        self.saved: Path | None = None
        self.failure: str | None = None
        self._branch: list[Path] = []
        self._step = self._epoch = 0
        self._written = -1
        self._loops: dict[str, Any] | None = None
        self._between_steps = True
        self._evaluated = False  # since the last checkpoint

    # ---- when ----

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.saved = Path(str(trainer.ckpt_path)) if trainer.ckpt_path else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step = self._written = trainer.global_step
        self._branch = continued(Path(trainer.default_root_dir), trainer.ckpt_path, self._step) or []

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self._between_steps = False

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._between_steps = True  # a gradient scaler may have skipped the optimiser's step
        if trainer.global_step == self._step:
            return  # gradients are still being accumulated
        self._step, self._epoch = trainer.global_step, trainer.current_epoch
        self._loops = copy.deepcopy(trainer.fit_loop.state_dict())
        if self._step % self.every_n_train_steps == 0:
            self._save_or_stop(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._evaluated = not trainer.sanity_checking

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._is_saved():
            self._save_or_stop(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The other processes may be anywhere: nothing is done together here."""
        if (not trainer.training and not trainer.validating) or self._loops is None:
            return
        if not self._between_steps or not _writes_alone(trainer.strategy):
            rank_zero_warn("The run stopped in the middle of a step; the last checkpoint is left as it is.")
        elif not self._is_saved():
            self._conclude(trainer, self._write(trainer))
        if option := ckpt_path_option(trainer):
            rank_zero_info(f"To go on from the last checkpoint, give the same command with {option}.")

    def _save_or_stop(self, trainer: Trainer) -> None:
        """Raises UserError where the weights are not finite: nothing that comes after could be saved."""
        self.save(trainer)
        if self.failure and not _is_finite(trainer.lightning_module):
            raise UserError(self.failure)

    def _is_saved(self) -> bool:
        """Whether the state after the last step is saved, and that it has been evaluated."""
        return self._written == self._step and not self._evaluated

    # ---- how ----

    def save_newest(self, trainer: Trainer) -> None:
        """Save the state after the last optimiser step, unless it is saved, or a step has begun since."""
        if self._loops is not None and self._between_steps and not self._is_saved():
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Write the state after the last optimiser step, all processes together; `failure` says why it is not written.

        One process's failure is everyone's.
        """
        failure, processes = self._write(trainer), Processes(trainer.strategy)
        if processes.largest(failure is not None):
            failure = next(filter(None, processes.gather_objects(failure)))
        self._conclude(trainer, failure)

    def _write(self, trainer: Trainer) -> str | None:
        """Write one checkpoint, waiting for no other process; why it is not written, where it is not."""
        if not _is_finite(trainer.lightning_module):
            return f"The weights are not finite at step {self._step}; this state is not saved. {self._what_is_saved()}"
        path = self._path(trainer)
        try:
            if trainer.is_global_zero:
                record_branch(Path(trainer.default_root_dir), [*self._branch, path])
            checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
            trainer.strategy.save_checkpoint(checkpoint, path)  # Trainer.save_checkpoint waits for the others
        except OSError as error:
            why = error.strerror or error
            return f"The checkpoint of step {self._step} could not be written: {path}: {why}. {self._what_is_saved()}"
        return None

    def _conclude(self, trainer: Trainer, failure: str | None) -> None:
        self.failure = failure
        if failure:
            rank_zero_warn(failure)
            return
        self._written, self._evaluated = self._step, False
        self.saved = self._path(trainer)
        if trainer.is_global_zero:
            self._renew_last(Path(trainer.default_root_dir), self.saved)

    def _path(self, trainer: Trainer) -> Path:
        return checkpoint_path(Path(trainer.default_root_dir), self._step)

    def _renew_last(self, root: Path, path: Path) -> None:
        """Make the new checkpoint `last.ckpt`, and remove this run's oldest. What cannot be done is a warning."""
        self._branch = [*(old for old in self._branch if old != path), path]
        try:
            link_atomically(path, root / LAST)
            self.saved = root / LAST
        except OSError as error:
            rank_zero_warn(
                f"{root / LAST} could not be renewed: {error.strerror or error}. --ckpt_path last finds {path}."
            )
        try:
            for old in self._branch[: -self.keep]:
                old.unlink(missing_ok=True)
        except OSError as error:
            rank_zero_warn(f"{old} could not be removed: {error.strerror or error}.")
        self._branch = self._branch[-self.keep :]
        rank_zero_info(f"Checkpoint of step {self._step}: {self.saved}")

    def _what_is_saved(self) -> str:
        if self.saved is None or not self.saved.exists():
            return "There is no checkpoint."
        return f"The last checkpoint is that of step {self._written}: {self.saved}."

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the counters of the last optimiser step in place of those of a batch that was broken off."""
        if self._loops is not None:
            checkpoint["loops"]["fit_loop"] = self._loops
            checkpoint["global_step"], checkpoint["epoch"] = self._step, self._epoch


def _is_finite(module: LightningModule) -> bool:
    """Whether every weight is finite; the only time that weights are read back."""
    flags = [parameter.detach().isfinite().all() for parameter in module.parameters()]
    return bool(torch.stack(flags).all()) if flags else True


def _writes_alone(strategy: Strategy) -> bool:
    """Whether the first process holds the whole state and can write it without the others."""
    return isinstance(strategy, SingleDeviceStrategy) or type(strategy) is DDPStrategy


def save_together(trainer: Trainer) -> None:
    """What all processes do before all of them end a run: save what is not saved yet."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, RunCheckpoint):
            callback.save_newest(trainer)


def ckpt_path_option(trainer: Trainer) -> str:
    """The option with which a command goes on from the newest checkpoint; empty if there is none."""
    saved = [callback.saved for callback in trainer.checkpoint_callbacks if isinstance(callback, RunCheckpoint)]
    if not saved or saved[0] is None or not saved[0].exists():
        return ""
    own = continued(Path(trainer.default_root_dir), saved[0], trainer.global_step) is not None
    return f"--ckpt_path {'last' if own else saved[0]}"
