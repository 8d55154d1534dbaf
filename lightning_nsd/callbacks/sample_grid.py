"""Pictures of what the model draws, at every evaluation."""

from collections.abc import Sequence
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from lightning_nsd.data.datamodule import SPLITS, EpisodeDataModule, Split, class_numbers
from lightning_nsd.data.episodes import sample_episodes, spread_classes
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.pictures import grid, write_picture
from lightning_nsd.rng import Stream, device_generator, generator
from lightning_nsd.runs.folder import PICTURE_FOLDER
from lightning_nsd.settings.numbers import Images, bounded
from lightning_nsd.shown import Shown


@bounded("SampleGrid")
class SampleGrid(Callback):
    """One picture per split, each row a class: its support set, a rule, and what the EMA weights draw from it.

    Pictures go to `samples/` in the run's folder and to every logger that takes images. The same classes, support
    sets and noise are used at every evaluation. A picture that cannot be made is a warning.

    Args:
        splits: drawn at every validation during training; `test` and `validate` draw their own split.
        num_classes: rows of a picture.
        num_images: images drawn from each support set.
    """

    def __init__(
        self, splits: Sequence[Split] = ("train", "val"), num_classes: Images = 10, num_images: Images = 8
    ) -> None:
        self.splits = splits
        self.num_classes = num_classes
        self.num_images = num_images
        self._shown = Shown("The picture of samples")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._show_splits(trainer, self.splits if trainer.state.fn == "fit" else ("val",))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show_splits(trainer, ("test",))

    @rank_zero_only
    def _show_splits(self, trainer: Trainer, splits: Sequence[Split]) -> None:
        module: FewShotDiffusion = trainer.lightning_module  # type: ignore[assignment]
        data: EpisodeDataModule = trainer.datamodule  # type: ignore[attr-defined]
        for split in splits:
            with self._shown:
                self._show(self.picture(module, data, split), split, module.trained_steps, trainer)

    def _show(self, picture: Image.Image, split: Split, step: int, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image(f"samples/{split}", [picture], step=step)
        write_picture(Path(trainer.default_root_dir) / PICTURE_FOLDER / f"{split}_step={step:08d}.png", picture)

    def picture(self, module: FewShotDiffusion, data: EpisodeDataModule, split: Split) -> Image.Image:
        """The picture of one split."""
        image_set, key = data.image_set(split), (data.eval_seed, Stream.SAMPLING, SPLITS.index(split))
        choose = generator(*key)
        classes = spread_classes(len(image_set), min(self.num_classes, len(image_set)), choose).sort().values
        episodes = sample_episodes(image_set, classes, data.n_shot, choose)
        support = to_unit_range(image_set.images[episodes]).to(module.device)  # (k, n_shot, C, H, W)
        numbers = class_numbers(split, classes).to(module.device)
        drawn_from = numbers if module.model.takes_classes else support
        samples = module.sample(drawn_from, self.num_images, device_generator(module.device, *key))
        return grid(list(torch.cat([support, samples], dim=1).cpu()), rule_after=data.n_shot)
