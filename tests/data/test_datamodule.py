from types import SimpleNamespace
from typing import Any

import jsonargparse
import pytest
import torch

import lightning_nsd.data
from lightning_nsd.data.datamodule import EpisodeDataModule, Split
from lightning_nsd.data.episodes import EpisodeBatch
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.errors import UserError
from lightning_nsd.rng import mix


class TinyData(EpisodeDataModule):
    """Ten classes of random images; every pixel of class k's images is of the tens of k in its first row."""

    def __init__(self, size: int = 4, **kwargs: Any) -> None:
        self.loads: list[Split] = []
        self.size = size
        super().__init__(image_size=4, channels=1, **{"n_shot": 2, "batch_size": 4, "eval_episodes": 10, **kwargs})

    def load_split(self, split: Split) -> ImageSet:
        self.loads.append(split)
        draw = torch.Generator().manual_seed(len(split))
        classes = {}
        for k in range(10):
            images = torch.randint(0, 256, (5, 1, self.size, self.size), generator=draw, dtype=torch.uint8)
            images[..., 0, :] = k
            classes[str(k)] = images
        return ImageSet.from_classes(classes)


def on_rank(data: TinyData, rank: int, world_size: int, global_step: int = 0, accumulate: int = 1) -> TinyData:
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        world_size=world_size, global_rank=rank, global_step=global_step, accumulate_grad_batches=accumulate
    )
    return data


def assert_same(ours: EpisodeBatch, theirs: EpisodeBatch) -> None:
    assert torch.equal(ours.images, theirs.images) and torch.equal(ours.mask, theirs.mask)
    assert (ours.number, ours.n_valid) == (theirs.number, theirs.n_valid)


AUGMENTED = {"horizontal_flip": True, "episode_symmetries": True}


def test_episode_holds_different_images_of_one_class() -> None:
    images = TinyData(batch_size=64).training_batch(0).images
    assert images.shape == (64, 3, 1, 4, 4) and images.dtype == torch.uint8
    assert (images[:, :, 0, 0, 0] == images[:, :1, 0, 0, 0]).all()
    assert all(len({tuple(image.flatten().tolist()) for image in episode}) == 3 for episode in images)


@pytest.mark.parametrize("options", [{}, AUGMENTED], ids=["plain", "augmented"])
def test_training_batch_depends_on_seed_and_number_alone(options: dict) -> None:
    data, other = TinyData(**options), TinyData(**options)
    expected = data.training_batch(7)
    torch.rand(3)
    for number in (9, 0, 2):
        other.training_batch(number)
    assert_same(other.training_batch(7), expected)
    assert not torch.equal(data.training_batch(8).images, expected.images)
    assert not torch.equal(TinyData(seed=1, **options).training_batch(7).images, expected.images)


@pytest.mark.parametrize("options", [{}, AUGMENTED], ids=["plain", "augmented"])
def test_rows_of_all_processes_make_the_batch_of_one(options: dict) -> None:
    whole = TinyData(batch_size=4, **options)
    parts = [on_rank(TinyData(batch_size=2, **options), rank, 2) for rank in range(2)]
    for number in range(2):
        images = torch.cat([part.training_batch(number).images for part in parts])
        assert torch.equal(images, whole.training_batch(number).images)
    for number in range(3):
        batches = [part.evaluation_batch("val", number) for part in parts]
        expected = whole.evaluation_batch("val", number)
        assert torch.equal(torch.cat([batch.images for batch in batches]), expected.images)
        assert torch.equal(torch.cat([batch.mask for batch in batches]), expected.mask)
        assert {batch.n_valid for batch in batches} == {expected.n_valid}


def test_symmetry_turns_a_whole_episode_and_every_symmetry_occurs() -> None:
    plain, turned = TinyData(batch_size=200), TinyData(batch_size=200, episode_symmetries=True)
    before, after = plain.training_batch(0).images, turned.training_batch(0).images
    ways = [lambda x, k=k, m=m: (x.flip(-1) if m else x).rot90(k, (-2, -1)) for m in (False, True) for k in range(4)]
    seen = []
    for episode, other in zip(before, after, strict=True):
        (way,) = [i for i, turn in enumerate(ways) if torch.equal(turn(episode), other)]
        seen.append(way)
    assert set(seen) == set(range(8))


def test_flip_mirrors_each_image_for_itself() -> None:
    before = TinyData(batch_size=100).training_batch(0).images
    after = TinyData(batch_size=100, horizontal_flip=True).training_batch(0).images
    flipped = (after == before.flip(-1)).flatten(2).all(-1)
    assert (flipped | (after == before).flatten(2).all(-1)).all()
    assert 0.4 < flipped.float().mean() < 0.6
    assert (flipped.any(1) & ~flipped.all(1)).any()


def test_augmentation_differs_from_batch_to_batch() -> None:
    plain, flipping = TinyData(batch_size=100), TinyData(batch_size=100, horizontal_flip=True)
    same = [plain.training_batch(i).images == flipping.training_batch(i).images for i in range(2)]
    assert not torch.equal(*(x.flatten(2).all(-1) for x in same))


def test_evaluation_episodes_are_fixed_padded_and_masked() -> None:
    data = TinyData()
    batches = list(data.val_dataloader())
    assert len(batches) == len(data.val_dataloader()) == 3
    assert [batch.n_valid for batch in batches] == [4, 4, 2]
    assert batches[2].mask.tolist() == [1, 1, 0, 0]
    assert torch.equal(batches[2].images[2:], batches[0].images[:2]), "the padding is not the first episodes"
    for again, batch in zip(data.val_dataloader(), batches, strict=True):
        assert_same(again, batch)
    episodes = torch.cat([batch.images[batch.mask.bool()] for batch in batches])
    assert sorted(episodes[:, 0, 0, 0, 0].tolist()) == list(range(10)), "a class came twice before another came"


def test_evaluation_is_never_augmented() -> None:
    plain, augmented = TinyData(), TinyData(**AUGMENTED)
    for split in ("val", "test"):
        assert_same(augmented.evaluation_batch(split, 0), plain.evaluation_batch(split, 0))


def test_epoch_starts_where_the_optimiser_stands() -> None:
    data = on_rank(TinyData(episodes_per_epoch=12), 0, 1, global_step=5, accumulate=2)
    batches = list(data.train_dataloader())
    assert [batch.number for batch in batches] == [10, 11, 12]
    assert_same(batches[0], data.training_batch(10))


def test_setup_reads_only_what_the_stage_needs_and_only_once() -> None:
    data = TinyData()
    data.setup("fit")
    data.setup("validate")
    data.training_batch(0)
    assert data.loads == ["train", "val"]


def test_images_become_floats_between_minus_one_and_one() -> None:
    data = TinyData()
    batch = data.training_batch(0)
    moved = data.on_after_batch_transfer(batch, 0)
    assert moved.images.dtype == torch.float32 and -1 <= moved.images.min() < -0.9
    assert torch.equal(((moved.images + 1) * 127.5).round(), batch.images.float())


def test_images_of_another_shape_than_configured_are_refused() -> None:
    with pytest.raises(UserError, match=r"\(1, 5, 5\) where \(1, 4, 4\)"):
        TinyData(size=5).image_set("train")


@pytest.mark.parametrize("option", ["n_shot", "batch_size", "episodes_per_epoch", "eval_episodes"])
def test_option_below_one_is_refused_by_name(option: str) -> None:
    with pytest.raises(UserError, match=rf"data\.{option} is 0"):
        TinyData(**{option: 0})


def test_seeds_of_different_keys_differ() -> None:
    assert len({mix(a, b) for a in range(20) for b in range(20)}) == 400


# ---- command line ----


def parse(*arguments: str) -> EpisodeDataModule:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(EpisodeDataModule, "data")
    config = parser.parse_args(list(arguments)).data
    return getattr(lightning_nsd.data, config.class_path.rsplit(".", 1)[1])(**config.init_args.as_dict())


@pytest.mark.parametrize("name", lightning_nsd.data.__all__)
def test_short_name_of_every_data_set_and_the_common_options_resolve(name: str) -> None:
    root = ["--data.root=somewhere"] if name == "ClassFolder" else []
    data = parse(f"--data={name}", "--data.n_shot=3", "--data.horizontal_flip=true", *root)
    assert type(data) is getattr(lightning_nsd.data, name)
    assert data.n_shot == 3 and data.horizontal_flip


@pytest.mark.parametrize(
    ("name", "option"), [("CIFAR100", "channels=1"), ("CIFAR100", "image_size=8"), ("Omniglot", "channels=3")]
)
def test_what_a_data_set_fixes_is_no_option(name: str, option: str) -> None:
    with pytest.raises(jsonargparse.ArgumentError):
        parse(f"--data={name}", f"--data.{option}")


def test_episodes_are_gathered_turned_and_mirrored_on_the_device_that_holds_the_images() -> None:
    data = TinyData(images_on_device=True, **AUGMENTED)
    on_rank(data, 0, 1).trainer.strategy = SimpleNamespace(root_device=torch.device("meta"))  # type: ignore[union-attr]
    for batch in (data.training_batch(3), data.evaluation_batch("val", 2)):
        assert batch.images.device.type == "meta" and batch.images.shape == (4, 3, 1, 4, 4)
        assert batch.images.dtype == torch.uint8 and batch.mask.device.type == "cpu"


def test_images_follow_the_trainer_to_its_device() -> None:
    data, expected = TinyData(images_on_device=True), TinyData().training_batch(0)
    assert_same(data.training_batch(0), expected)
    on_rank(data, 0, 1).trainer.strategy = SimpleNamespace(root_device=torch.device("meta"))  # type: ignore[union-attr]
    assert data.training_batch(0).images.device.type == "meta"
    data.trainer = None
    assert_same(data.training_batch(0), expected)
