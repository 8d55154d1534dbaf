"""The progress bar: loss and images per second, read from the device only when they are shown."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from lightning_nsd.data.episodes import EpisodeBatch


class ProgressBar(TQDMProgressBar):
    """Lightning's bar, with the loss and the images per second since the last logging step."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=10)
        self._shown: dict[str, str] = {}
        self._images = 0
        self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.on_train_epoch_start(trainer, pl_module)  # Lightning leaves it out of a run resumed within an epoch,
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready  # and counts what remains from 0
        self.train_progress_bar.total = min(trainer.num_training_batches, done + self.total_train_batches)
        self._images, self._since = 0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: EpisodeBatch, batch_idx: int
    ) -> None:
        self._images += batch.images.shape[0] * batch.images.shape[1] * trainer.world_size
        if trainer.global_step % trainer.log_every_n_steps == 0 or batch_idx == 0:  # type: ignore[attr-defined]
            loss = float(outputs["loss"]) * trainer.accumulate_grad_batches  # waits for the device
            now = time.perf_counter()
            per_second = self._images / max(now - self._since, 1e-9)
            self._shown = {"loss": f"{loss:.4f}", "images/s": f"{per_second:.0f}"}
            self._images, self._since = 0, now
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        self._images, self._since = 0, time.perf_counter()

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        return {**self._shown}
