"""Ctrl-C and SIGTERM wait for the end of the step."""

import signal
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info


class GracefulStop(Callback):
    """Stops a run between two batches, where its state is whole; a second Ctrl-C stops it at once."""

    def __init__(self) -> None:
        self._asked = False
        self._previous: dict[int, Any] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._ask)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        name = signal.Signals(number).name
        rank_zero_info(f"\n{name}: stopping after this step and writing a checkpoint. Once more stops at once.")

    def on_train_batch_start(self, *_: Any) -> None:
        self.stop_if_asked()

    def on_validation_batch_start(self, *_: Any) -> None:
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Raises KeyboardInterrupt if a signal asked for it; also called between the batches of a long evaluation."""
        if self._asked:
            raise KeyboardInterrupt
