from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lightning_nsd.data import ClassFolder
from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.errors import UserError

NAMES = [f"class{i}" for i in range(10)]


@pytest.fixture
def root(tmp_path: Path, write_image) -> Path:
    for i, name in enumerate(NAMES):
        for j in range(2):
            write_image(tmp_path / "data" / name / f"{j}.png", seed=10 * i + j)
    return tmp_path / "data"


def split_of(data: ClassFolder) -> dict[str, tuple[str, ...]]:
    return {split: data.load_split(split).class_names for split in SPLITS}


def test_split_is_disjoint_complete_and_stable(root: Path) -> None:
    split = split_of(ClassFolder(str(root), image_size=8, val_fraction=0.2, test_fraction=0.3))
    assert [len(split[name]) for name in SPLITS] == [5, 2, 3]
    assert sorted(chain(*split.values())) == NAMES
    again = ClassFolder(str(root), image_size=8, val_fraction=0.2, test_fraction=0.3, seed=5)
    assert split_of(again) == split, "other episodes moved classes between the splits"


def test_split_seed_changes_the_split(root: Path) -> None:
    splits = {seed: split_of(ClassFolder(str(root), image_size=8, split_seed=seed)) for seed in range(2)}
    assert splits[0] != splits[1]


def test_images_are_resized_to_the_configured_size(root: Path) -> None:
    images = ClassFolder(str(root), image_size=4).load_split("train").images
    assert images.shape[1:] == (3, 4, 4) and images.dtype == torch.uint8


def test_order_in_which_splits_are_read_does_not_matter(root: Path) -> None:
    forwards, backwards = ClassFolder(str(root), image_size=8), ClassFolder(str(root), image_size=8)
    first = {split: forwards.load_split(split) for split in SPLITS}
    for split in reversed(SPLITS):
        assert torch.equal(backwards.load_split(split).images, first[split].images)
        assert torch.equal(backwards.load_split(split).images, first[split].images), "a second reading differs"


def test_constructor_does_not_touch_the_disk(tmp_path: Path) -> None:
    data = ClassFolder(str(tmp_path / "nowhere"), image_size=20, channels=1, n_shot=3)
    assert (data.image_size, data.channels, data.n_shot) == (20, 1, 3)


def test_folders_train_val_test_are_the_split(tmp_path: Path, write_image) -> None:
    pixels = {
        split: write_image(tmp_path / split / f"{split}_cats" / "1.png", seed=i) for i, split in enumerate(SPLITS)
    }
    data = ClassFolder(str(tmp_path), image_size=8)
    for split in SPLITS:
        image_set = data.load_split(split)
        assert image_set.class_names == (f"{split}_cats",)
        np.testing.assert_array_equal(image_set.images[0].numpy(), pixels[split].transpose(2, 0, 1))


def test_class_in_two_of_the_three_folders_is_warned_about(tmp_path: Path, write_image) -> None:
    for i, path in enumerate(("train/cats", "val/cats", "test/dogs")):
        write_image(tmp_path / path / "1.png", seed=i)
    with pytest.warns(UserWarning, match=r"1 classes .*\(cats\).*not be on unseen"):
        ClassFolder(str(tmp_path), image_size=8).load_split("train")


def test_empty_split_is_named(tmp_path: Path, write_image) -> None:
    for split in ("train", "test"):
        write_image(tmp_path / split / split / "1.png")
    (tmp_path / "val").mkdir()
    with pytest.raises(UserError, match=r"val split of .* holds no class"):
        ClassFolder(str(tmp_path), image_size=8).load_split("val")


def test_a_training_without_validation_needs_no_class_for_it_and_reads_once(root: Path, monkeypatch) -> None:
    data = ClassFolder(str(root), image_size=8, val_fraction=0, test_fraction=0, n_shot=1)
    reads = []
    read = data.read_splits
    monkeypatch.setattr(data, "read_splits", lambda: reads.append(1) or read())
    data.trainer = SimpleNamespace(limit_val_batches=0)
    data.prepare_data()
    data.setup("fit")
    assert len(data.image_set("train"))
    data.trainer.limit_val_batches = 1.0
    with pytest.raises(UserError, match=r"val split of .* holds no class \(classes of the others: train \d+\)"):
        data.setup("fit")
    assert len(reads) == 1


def test_split_without_training_classes_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="train split holds no class"):
        ClassFolder(str(root), image_size=8, val_fraction=0.5, test_fraction=0.5).prepare_data()


def test_missing_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No folder .*nowhere.*<root>/<class>/<image>.*png"):
        ClassFolder(str(tmp_path / "nowhere")).load_split("train")


def test_folder_without_class_folders_says_what_was_expected(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "lonely.png")
    with pytest.raises(UserError, match=r"No class folder with images .*<root>/<class>/<image>"):
        ClassFolder(str(tmp_path)).load_split("train")


def test_colour_is_converted_only_on_request(root: Path) -> None:
    with pytest.raises(UserError, match="colour image"):
        ClassFolder(str(root), image_size=8, channels=1).load_split("train")
    images = ClassFolder(str(root), image_size=8, channels=1, convert_colour=True).load_split("train").images
    assert images.shape[1:] == (1, 8, 8)


def test_class_too_small_for_an_episode_is_left_out_with_a_warning(root: Path, write_image) -> None:
    names = split_of(ClassFolder(str(root), image_size=8))["train"]
    (root / names[0] / "1.png").unlink()
    data = ClassFolder(str(root), image_size=8, n_shot=1)
    with pytest.warns(UserWarning, match=rf"{names[0]} \(1\)"):
        assert data.image_set("train").class_names == names[1:]
