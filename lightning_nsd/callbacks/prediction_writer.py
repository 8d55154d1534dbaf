"""What `predict` draws, as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.data.episodes import EpisodeBatch
from lightning_nsd.data.transforms import to_bytes
from lightning_nsd.errors import UserError
from lightning_nsd.messages import reason
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.pictures import to_image, write_npz, write_picture
from lightning_nsd.processes.group import Processes
from lightning_nsd.runs.folder import PREDICTION_FOLDER

NOT_IN_NAMES = str.maketrans(dict.fromkeys('\\:*?"<>|' + "".join(map(chr, range(32))), "_"))


class PredictionWriter(Callback):
    """Writes what `predict` draws to `predictions/step=…/<class>/<episode>.png` in the run's folder.

    An earlier prediction of the same step is kept; the new one lies beside it, in `step=…_2`.

    Args:
        npz: also write all images as one `samples_<n>x<H>x<W>x<C>.npz`, `arr_0` uint8 `(n, H, W, C)`, as
            guided-diffusion's scripts do, and with them the code of Few-Shot Diffusion Models.

    Raises:
        UserError: an image cannot be written.
    """

    def __init__(self, npz: bool = False) -> None:
        self.npz = npz
        self._folder = Path()
        self._classes: list[str] = []
        self._drawn: list[Tensor] = []  # bytes (B, C, H, W) each

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module: FewShotDiffusion = trainer.lightning_module  # type: ignore[assignment]
        data: EpisodeDataModule = trainer.datamodule  # type: ignore[attr-defined]
        self._folder = unused(Path(trainer.default_root_dir) / PREDICTION_FOLDER / f"step={module.trained_steps:08d}")
        self._classes = data.evaluation_class_names("test")
        self._drawn = []

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: EpisodeBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Every process calls it; the first one writes what all have drawn."""
        processes = Processes(trainer.strategy)
        images = processes.gather(to_bytes(outputs[:, 0])).flatten(0, 1).cpu()  # (global B, C, H, W)
        first = batch.number * len(images)
        self._drawn.append(images[: batch.n_valid])
        self._together(processes, lambda: self._write_images(first, self._drawn[-1]))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        processes = Processes(trainer.strategy)
        if self.npz and self._drawn:
            images = torch.cat(self._drawn)  # (n, C, H, W)
            n, channels, height, width = images.shape
            path = self._folder / f"samples_{n}x{height}x{width}x{channels}.npz"
            self._together(processes, lambda: write_npz(path, images))
        number = sum(len(images) for images in self._drawn)
        rank_zero_info(f"{number} images, one of each episode's class: {self._folder}")

    def _write_images(self, first: int, images: Tensor) -> None:
        for number, image in enumerate(images, start=first):
            path = self._folder / inside(self._classes[number]) / f"{number:05d}.png"
            write_picture(path, to_image(image / 127.5 - 1.0))

    def _together(self, processes: Processes, write: Any) -> None:
        """Write on the first process; all of them raise where that failed, so that none waits for another."""
        message = ""
        if processes.rank == 0:
            try:
                write()
            except OSError as error:
                message = f"The predictions cannot be written to {self._folder} ({reason(error)})."
        for found in processes.gather_objects(message):
            if found:
                raise UserError(found)


def unused(folder: Path) -> Path:
    """The folder, or the first of `folder_2`, `folder_3`, … that is not there."""
    number, found = 1, folder
    while found.exists():
        number += 1
        found = folder.with_name(f"{folder.name}_{number}")
    return found


def inside(name: str) -> Path:
    """A class's name as a relative path that leads nowhere else, whatever the data calls the class."""
    parts: Sequence[str] = [part.translate(NOT_IN_NAMES)[:80] for part in name.split("/") if part]
    return Path(*("_" * len(part) if set(part) == {"."} else part for part in parts))
