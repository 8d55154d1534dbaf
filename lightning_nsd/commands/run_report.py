"""A run's report at the end of `fit`, however it ends."""

import signal
from pathlib import Path
from types import TracebackType

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_nsd.commands.report import report
from lightning_nsd.processes.stopping import StoppedError
from lightning_nsd.report.chain import write_chain
from lightning_nsd.runs.history import END, note
from lightning_nsd.shown import Shown


class RunReport(Callback):
    """Notes the end of the run, draws a chain from noise, and writes `report.html`. What fails is one warning.

    A run that is broken off after its start gets its page too, without a chain; `at_exit` sees to that. To be named
    before what says where the report is, and to be given to the first of several processes alone.

    Args:
        root: the run's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._trainer: Trainer | None = None  # while the run goes on
        self._shown = Shown("The run's report")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._trainer = trainer

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._trainer is None:
            return  # there was nothing to train
        with Shown("The chain from noise"):
            write_chain(self.root, pl_module, trainer.datamodule)  # type: ignore[attr-defined, arg-type]
        self._write(trainer, "finished")

    def at_exit(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """As the `__exit__` of a context: for a run that started and did not come to its end."""
        if self._trainer is not None:
            self._write(self._trainer, _how(error))
        return False

    def _write(self, trainer: Trainer, how: str) -> None:
        self._trainer = None
        with self._shown:
            note(self.root, END, trainer.global_step, how=how)
            report([self.root])


def _how(error: BaseException | None) -> str:
    if isinstance(error, StoppedError):
        return f"stopped by {signal.Signals(error.number).name}"
    if isinstance(error, KeyboardInterrupt):
        return "stopped by SIGINT"
    return f"broken off by {type(error).__name__}" if error else "ended"
