"""Episodes for training, validation and test, from images that live in memory once."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from lightning_nsd.data.episodes import EpisodeBatch, sample_classes, sample_episodes, spread_classes
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.transforms import apply_symmetries, flip_horizontally, flipped_symmetry, symmetry, to_unit_range
from lightning_nsd.errors import UserError
from lightning_nsd.frozen_encoder import Kind
from lightning_nsd.rng import Stream, generator, rows_of_rank
from lightning_nsd.settings.numbers import Batch, Channels, Episodes, EpochEpisodes, Pixels, Seed, Shots, bounded
from lightning_nsd.tables.sent import sent

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def class_numbers(split: Split, classes: Tensor) -> Tensor:
    """The numbers by which a model knows a split's classes, int64 `(B,)`: its own of training, −1 for all others."""
    return classes if split == "train" else torch.full_like(classes, -1)


class TrainingEpisodes:
    """One epoch of new episodes. Where it starts follows from the optimiser steps already taken.

    An iterator started after `k` optimiser steps begins with batch number `k · accumulate_grad_batches`, whether
    those steps were taken in this process or before it was stopped. With `trainer.overfit_batches` the epoch's episodes
    come again and again, each time with new noise.
    """

    def __init__(self, data: "EpisodeDataModule", length: int) -> None:
        self.data = data
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[EpisodeBatch]:
        trainer = self.data.trainer
        start = trainer.global_step * trainer.accumulate_grad_batches if trainer else 0
        overfits = getattr(trainer, "overfit_batches", 0) > 0
        repeated = int(trainer.num_training_batches) if trainer and overfits else 0
        for number in range(start, start + self.length):
            batch = self.data.training_batch(number % repeated if repeated else number)
            yield batch._replace(number=number)


class FixedEpisodes:
    """The same evaluation episodes at every evaluation; the last batch is padded and masked."""

    def __init__(self, data: "EpisodeDataModule", split: Split) -> None:
        self.data = data
        self.split = split

    def __len__(self) -> int:
        return -(-self.data.eval_episodes // self.data.global_batch_size)

    def __iter__(self) -> Iterator[EpisodeBatch]:
        for number in range(len(self)):
            yield self.data.evaluation_batch(self.split, number)


@bounded("data")
class EpisodeDataModule(LightningDataModule):
    """Draws episodes of `n_shot + 1` images of one class. A data set is a subclass with `load_split`.

    Args:
        image_size: height and width of the images in pixels.
        channels: 1 (grey) or 3 (RGB).
        n_shot: images of a support set; an episode holds one more, so that each is a query once.
        batch_size: episodes in a batch, per process.
        episodes_per_epoch: training episodes that make an epoch, over all processes.
        eval_episodes: fixed episodes of an evaluation.
        horizontal_flip: mirror each training image with probability 1/2.
        episode_symmetries: turn and mirror each training episode as a whole, one of eight ways, which
            multiplies the classes by up to eight. Only sensible where a turned class is another class.
        seed: key of all training episodes, together with the number of the batch.
        eval_seed: key of all that evaluation draws: classes, episodes, support sets, noise. It does not follow the
            training's seed, so that runs of several seeds are compared on the same.
        images_on_device: keep the images of training and evaluation where the model is, as bytes, and gather, turn
            and mirror episodes there; what crosses in a step are their indices.
    """

    def __init__(
        self,
        image_size: Pixels,
        channels: Channels,
        n_shot: Shots = 5,
        batch_size: Batch = 16,
        episodes_per_epoch: EpochEpisodes = 16_000,
        eval_episodes: Episodes = 256,
        horizontal_flip: bool = False,
        episode_symmetries: bool = False,
        seed: Seed = 0,
        eval_seed: Seed = 0,
        images_on_device: bool = False,
    ) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise UserError(f"data.channels is {channels}; images are grey (1) or RGB (3).")
        self.image_size = image_size
        self.channels = channels
        self.n_shot = n_shot
        self.batch_size = batch_size
        self.episodes_per_epoch = episodes_per_epoch
        self.eval_episodes = eval_episodes
        self.horizontal_flip = horizontal_flip
        self.episode_symmetries = episode_symmetries
        self.seed = seed
        self.eval_seed = eval_seed
        self.images_on_device = images_on_device
        self._splits: dict[Split, ImageSet] = {}
        self._placed: dict[Split, Tensor] = {}  # images where they are gathered
        self._encode: dict[Kind, Callable[[Tensor, str], Tensor]] = {}
        self._encodings: dict[tuple[Split, Kind], Tensor] = {}
        self.left_out: dict[Split, dict[str, int]] = {}  # classes too small for an episode, and their sizes

    @abstractmethod
    def load_split(self, split: Split) -> ImageSet:
        """Read one split's images at `image_size` and `channels`; called once per split and process.

        Raises:
            UserError: data that is missing, broken or empty, with the path and the remedy.
        """

    # ---- images ----

    def image_set(self, split: Split) -> ImageSet:
        """The images of a split, read at the first call. Classes too small for an episode are left out."""
        if split not in self._splits:
            image_set = self.load_split(split)
            shape = tuple(image_set.images.shape[1:])
            expected = (self.channels, self.image_size, self.image_size)
            if shape != expected:
                raise UserError(f"{type(self).__name__}: images of shape {shape} where {expected} was configured.")
            kept = image_set.with_at_least(self.n_shot + 1, split)
            sizes = dict(zip(image_set.class_names, image_set.counts.tolist(), strict=True))
            self.left_out[split] = {name: sizes[name] for name in sizes.keys() - set(kept.class_names)}
            self._splits[split] = kept
        return self._splits[split]

    def setup(self, stage: str | None = None) -> None:
        """Read what the stage needs, so that bad data ends the run before training starts.

        A training without validation (`trainer.limit_val_batches` 0) does without its classes.
        """
        validates = self.trainer is None or self.trainer.limit_val_batches != 0
        needed: dict[str | None, tuple[Split, ...]] = {
            "fit": ("train", "val") if validates else ("train",),
            "validate": ("val",),
            "test": ("test",),
            "predict": ("test",),
        }
        for split in needed.get(stage, SPLITS):
            self.image_set(split)

    def check_classes(self, num_classes: int) -> None:
        """Whether a model that knows so many classes by their numbers can be trained on this data.

        Raises:
            UserError: training has more or fewer classes, or turned ones, which have no number.
        """
        found = len(self.image_set("train"))
        if found != num_classes:
            raise UserError(
                f"model.encoder.num_classes is {num_classes}, and the train split has {found} classes of at least "
                f"{self.n_shot + 1} images. Set it to {found}."
            )
        if self.episode_symmetries:
            raise UserError("data.episode_symmetries makes classes that have no number of their own. Set it to false.")

    # ---- encodings ----

    def use_encodings(self, kind: Kind, encode: Callable[[Tensor, str], Tensor]) -> None:
        """Give what a frozen network makes of the images of every episode too.

        Args:
            kind: a field of `EpisodeBatch`.
            encode: from bytes `(M, C, H, W)` and their name to encodings `(M, *shape)`.
        """
        self._encode[kind] = encode
        self._encodings = {}

    def encodings(self, split: Split) -> dict[Kind, Tensor]:
        """Encodings `(V, M, *shape)` of a split's images by their kind, made at the first call.

        V are the symmetries in which training shows an image: the rows of `symmetry_table` that `_symmetries` names. A
        mirrored image's latent is no mirrored latent, so each is encoded.
        """
        for kind, encode in self._encode.items():
            if (split, kind) not in self._encodings:
                images = self.image_set(split).images
                turned = []
                for number, which in enumerate(self._symmetries(split)):
                    copies = symmetry(images, which)
                    name = f"{split}, copy {number + 1} of {len(self._symmetries(split))}" if number else split
                    turned.append(encode(copies, name))
                self._encodings[split, kind] = torch.stack(turned)
        return {kind: self._encodings[split, kind] for kind in self._encode}

    def _symmetries(self, split: Split) -> list[int]:
        if split != "train" or not (self.horizontal_flip or self.episode_symmetries):
            return [0]
        return list(range(8)) if self.episode_symmetries else [0, 4]

    # ---- episodes ----

    @property
    def world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    @property
    def rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def global_batch_size(self) -> int:
        """Episodes of a batch over all processes."""
        return self.batch_size * self.world_size

    def training_batch(self, number: int) -> EpisodeBatch:
        """This process's rows of training batch `number`; depends on (seed, number, rank) alone."""
        image_set = self.image_set("train")
        rng = generator(self.seed, Stream.TRAIN_EPISODES, number)
        classes = sample_classes(image_set, self.global_batch_size, rng)
        index = sample_episodes(image_set, classes, self.n_shot + 1, rng)
        images = self._gather("train", index)
        flipped, which = torch.zeros_like(index, dtype=torch.bool), torch.zeros(len(index), dtype=torch.int64)
        rng = generator(self.seed, Stream.TRAIN_AUGMENTATION, number)
        if self.horizontal_flip:
            flipped = torch.rand(self.global_batch_size, self.n_shot + 1, generator=rng) < 0.5
            images = flip_horizontally(images, self._rows(flipped))
        if self.episode_symmetries:
            which = torch.randint(8, (self.global_batch_size,), generator=rng)
            images = apply_symmetries(images, self._rows(which))
        encodings = self._gather_encodings("train", index, flipped_symmetry(which[:, None], flipped))
        total, numbers = self.global_batch_size, self._rows(classes)
        return EpisodeBatch(images, torch.ones(self.batch_size), number, total, numbers, **encodings)

    def evaluation_episodes(self, split: Split) -> Tensor:
        """Indices into the split's images of all fixed episodes: int64 `(eval_episodes, N)`."""
        image_set, rng = self.image_set(split), generator(self.eval_seed, Stream.EVAL_EPISODES, SPLITS.index(split))
        classes = spread_classes(len(image_set), self.eval_episodes, rng)
        return sample_episodes(image_set, classes, self.n_shot + 1, rng)

    def evaluation_class_names(self, split: Split) -> list[str]:
        """The class of every fixed episode."""
        image_set = self.image_set(split)
        numbers = image_set.classes_of(self.evaluation_episodes(split)[:, 0])  # (eval_episodes,)
        return [image_set.class_names[number] for number in numbers.tolist()]

    def evaluation_batch(self, split: Split, number: int) -> EpisodeBatch:
        """This process's rows of fixed batch `number`; past the last episode the first ones fill it, masked."""
        episodes = self.evaluation_episodes(split)
        rows = torch.arange(number * self.global_batch_size, (number + 1) * self.global_batch_size)
        counts = rows < self.eval_episodes
        index = episodes[rows % self.eval_episodes]
        encodings = self._gather_encodings(split, index, torch.zeros_like(index))
        images = self._gather(split, index)
        return EpisodeBatch(images, self._rows(counts.float()), number, int(counts.sum()), **encodings)

    def _rows(self, values: Tensor) -> Tensor:
        return rows_of_rank(values, self.rank, self.world_size)

    def _gather(self, split: Split, index: Tensor) -> Tensor:
        on_device = self.images_on_device and self.trainer
        device = self.trainer.strategy.root_device if on_device else torch.device("cpu")  # type: ignore[union-attr]
        if split not in self._placed or self._placed[split].device != device:
            self._placed[split] = self.image_set(split).images.to(device)
        return self._placed[split][sent(self._rows(index), device)]  # (B, N, C, H, W)

    def _gather_encodings(self, split: Split, index: Tensor, symmetry: Tensor) -> dict[Kind, Tensor]:
        """Encodings of the images `index` `(B, N)`, turned as rows `symmetry` `(B, N)` say."""
        if not self._encode:
            return {}
        copies = torch.tensor(self._symmetries(split))
        chosen = torch.searchsorted(copies, self._rows(symmetry)), self._rows(index)
        return {kind: table[chosen] for kind, table in self.encodings(split).items()}  # each (B, N, *shape)

    # ---- Lightning ----

    def train_dataloader(self) -> TrainingEpisodes:
        return TrainingEpisodes(self, max(1, self.episodes_per_epoch // self.global_batch_size))

    def val_dataloader(self) -> FixedEpisodes:
        return FixedEpisodes(self, "val")

    def test_dataloader(self) -> FixedEpisodes:
        return FixedEpisodes(self, "test")

    def predict_dataloader(self) -> FixedEpisodes:
        return FixedEpisodes(self, "test")

    def on_after_batch_transfer(self, batch: EpisodeBatch, dataloader_idx: int) -> EpisodeBatch:
        """Bytes cross to the device; floats are made there, in the precision that the trainer computes in."""
        floats: dict[str, Tensor] = {kind: getattr(batch, kind) for kind in self._encode}
        floats["images"] = to_unit_range(batch.images)
        return batch._replace(**(self.trainer.precision_plugin.convert_input(floats) if self.trainer else floats))
