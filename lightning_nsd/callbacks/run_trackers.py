"""A run and its records at trackers go on together."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.loggers.metrics_file import MetricsFile, read_rows
from lightning_nsd.loggers.one_curve import OneCurve
from lightning_nsd.runs.branch import continued
from lightning_nsd.runs.folder import later_checkpoints, not_writable
from lightning_nsd.runs.trackers import names_in, read_trackers, record_trackers

TRACKERS = "trackers"
"""Key of a checkpoint; as the state of a callback, Lightning would miss that in every other command."""


class RunTrackers(Callback):
    """Keeps what trackers know the run by, in its folder and in every checkpoint.

    Args:
        root: the run's folder.
        loggers: those of the run.
    """

    def __init__(self, root: Path, loggers: Iterable[Logger]) -> None:
        self.root = root
        self.loggers = list(loggers)
        self._names: dict[str, str] = {}

    def go_on(self, ckpt_path: Path | str | None) -> None:
        """Before any tracker is opened: let those of a run that is continued go on.

        A run that goes back, so that later checkpoints are abandoned, gets records of its own: what was logged for them
        is not taken back. They begin with the figures up to where it goes back to.
        """
        trackers = [logger for logger in self.loggers if isinstance(logger, OneCurve)]
        if not trackers or ckpt_path is None:
            return
        checkpoint = read_checkpoint(ckpt_path)
        step = checkpoint["global_step"]
        if continued(self.root, ckpt_path, step) is None:
            return
        if not later_checkpoints(self.root, step):
            self._names = names_in(checkpoint.get(TRACKERS)) | read_trackers(self.root)
        csv = next(logger.path for logger in self.loggers if isinstance(logger, MetricsFile))
        for tracker in trackers:
            tracker.go_on(self._names.get(type(tracker).__name__), read_rows(csv))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The names of those that this run has, beside those of trackers that an earlier part of it had."""
        if trainer.is_global_zero:
            for logger in self.loggers:
                if isinstance(logger, OneCurve) and (name := logger.known_as):
                    self._names[type(logger).__name__] = name
            try:
                if self._names:
                    record_trackers(self.root, self._names)
            except OSError as error:
                raise not_writable(self.root, error) from error

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._names:
            checkpoint[TRACKERS] = dict(self._names)
