"""Ctrl-C, SIGTERM and SIGHUP wait for the end of the step."""

import signal
import threading
import time
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from lightning_nsd.callbacks.run_checkpoint import save_together
from lightning_nsd.processes.group import Processes
from lightning_nsd.processes.stopping import StoppedError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AS_ONE = 1.0
"""Seconds in which several signals are one wish: a shutdown sends more than one, and a terminal repeats keys."""


class GracefulStop(Callback):
    """Stops a run between two batches, where its state is whole; a second signal stops it at once.

    A signal may reach one of several processes alone. They decide together before every batch, write a checkpoint, and
    then all stop.
    """

    def __init__(self) -> None:
        self._asked = 0  # the signal's number
        self._when = 0.0
        self._over = False
        self._previous: dict[int, Any] = {}

    # ---- signals ----

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._asked, self._over = 0, False
        self._listen()

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._previous:
            self._listen()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._over = True

    def _listen(self) -> None:
        """Take signals over, from Lightning too: its handler of SIGTERM talks to the other processes at once, while
        they may be in the middle of a step."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if handler != self._ask and not (number == signal.SIGHUP and handler == signal.SIG_IGN):  # nohup
                self._previous.setdefault(number, handler)
                signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and time.monotonic() - self._when < AS_ONE:
            return
        if self._over:
            signal.signal(number, self._previous.get(number, signal.SIG_DFL))
            signal.raise_signal(number)
        elif self._asked:
            raise StoppedError(number)
        else:
            self._asked, self._when = number, time.monotonic()
            name = signal.Signals(number).name
            rank_zero_info(f"\n{name}: stopping after this step and writing a checkpoint. Once more stops at once.")

    # ---- when ----

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self.stop_if_asked(trainer)

    def on_validation_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self.stop_if_asked(trainer)

    def stop_if_asked(self, trainer: Trainer) -> None:
        """Raises StoppedError in all processes if a signal asked one of them; also called between the batches of a long
        evaluation."""
        processes = Processes(trainer.strategy)
        if not self._previous or not processes.decide_now(trainer):
            return
        number = processes.largest(self._asked)
        if number:
            if not self._asked:
                rank_zero_info(
                    f"\n{signal.Signals(number).name} in another process: writing a checkpoint and stopping."
                )
            save_together(trainer)
            raise StoppedError(number)
