import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightning_nsd.data import CUB200, cub200
from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.errors import UserError

CLASSES = tuple(
    f"{number:03}.{name}"
    for number, name in enumerate(
        ("Black_footed_Albatross", "Laysan_Albatross", "Sooty_Albatross", "Groove_billed_Ani", "Crested_Auklet",
         "Least_Auklet", "Parakeet_Auklet", "Rhinoceros_Auklet"), start=1)
)  # fmt: skip
IMAGES = 2


def pixels(class_index: int, image: int) -> np.ndarray:
    return np.random.default_rng([class_index, image]).integers(0, 256, (10, 12, 3), dtype=np.uint8)


def write_cub200(root: Path) -> Path:
    """Eight classes in the official layout. The images are PNG files, so that they come back as they were."""
    folder = root / "CUB_200_2011"
    names, labels = [], []
    for i, name in enumerate(CLASSES):
        (folder / "images" / name).mkdir(parents=True)
        for j in range(IMAGES):
            names.append(f"{name}/{name[4:]}_{j:04}_{len(names)}.png")
            labels.append(i + 1)
            Image.fromarray(pixels(i, j)).save(folder / "images" / names[-1])
    for file, values in (("classes", CLASSES), ("images", names), ("image_class_labels", labels)):
        (folder / f"{file}.txt").write_text("".join(f"{i} {value}\n" for i, value in enumerate(values, start=1)))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_cub200(tmp_path / "data")


def test_every_second_class_is_for_training_and_the_others_for_validation_and_test_in_turn(root: Path) -> None:
    data = CUB200(str(root), image_size=10)
    found = {split: [int(name[:3]) for name in data.load_split(split).class_names] for split in SPLITS}
    assert found == {"train": [1, 3, 5, 7], "val": [2, 6], "test": [4, 8]}


def test_two_hundred_classes_are_divided_into_100_50_and_50() -> None:
    splits = [cub200._split_of(number) for number in range(1, 201)]
    assert [splits.count(split) for split in SPLITS] == [100, 50, 50]


def test_a_class_holds_the_middle_squares_of_its_images(root: Path) -> None:
    data = CUB200(str(root), image_size=10)
    for split in SPLITS:
        image_set = data.load_split(split)
        for i, name in enumerate(image_set.class_names):
            expected = [pixels(CLASSES.index(name), j)[:, 1:-1].transpose(2, 0, 1) for j in range(IMAGES)]
            np.testing.assert_array_equal(image_set.of_class(i).numpy(), np.stack(expected), strict=True)


def test_root_may_be_the_official_folder_itself(root: Path) -> None:
    data = CUB200(str(root / "CUB_200_2011"), image_size=8)
    assert data.load_split("test").class_names == (CLASSES[3], CLASSES[7])


def test_pickles_of_the_papers_code_keep_their_own_split(tmp_path: Path) -> None:
    for i, split in enumerate(SPLITS):
        content = {CLASSES[i]: np.stack([pixels(i, 0)[:, :10]] * 3)}
        (tmp_path / f"{split}_cub.pkl").write_bytes(pickle.dumps(content))
    data = CUB200(str(tmp_path), image_size=10)
    assert [data.load_split(split).class_names for split in SPLITS] == [(name,) for name in CLASSES[:3]]


# ---- what is missing or broken ----


def test_nothing_there_says_what_is_missing_and_where_it_is_from(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        CUB200(str(tmp_path)).prepare_data()
    (sentence,) = str(caught.value).splitlines()
    for part in (str(tmp_path), "CUB_200_2011/", "classes.txt", "CUB_200_2011.tgz", "https://", "data.root"):
        assert part in sentence


def test_an_archive_has_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "CUB_200_2011.tgz").touch()
    with pytest.raises(UserError, match=r"CUB_200_2011\.tgz is not read as it is.*tar -xzf"):
        CUB200(str(tmp_path)).prepare_data()


def changed(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


LAST = f"{CLASSES[7]}/Rhinoceros_Auklet_0001_15.png"
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "a list is missing": (lambda folder: (folder / "classes.txt").unlink(), r"classes\.txt cannot be read"),
    "the images are missing": (lambda folder: shutil.rmtree(folder / "images"), "16 of the 16 images .* are not in"),
    "an image is missing": (lambda folder: (folder / "images" / LAST).unlink(), f"1 of the 16 images .*{LAST}"),
    "half a list of images": (changed("images.txt", f"16 {LAST}\n", ""), r"images\.txt does not list 1 of the 16"),
    "half a list of labels": (changed("image_class_labels.txt", "\n16 8", ""), r"class_labels\.txt does not list 1"),
    "more labels than images": (
        changed("image_class_labels.txt", "\n16 8", "\n16 8\n17 8"),
        r"17 images .* such as 17",
    ),
    "a label out of range": (changed("image_class_labels.txt", "\n16 8", "\n16 9"), "image 16 is of class '9'"),
    "a label of another class": (changed("image_class_labels.txt", "\n16 8", "\n16 7"), "does not call 008"),
    "a class out of range": (changed("classes.txt", "8 008", "80 008"), "008.Rhinoceros_Auklet has number '80'"),
    "a class called so": (changed("classes.txt", "8 008", "x 008"), "008.Rhinoceros_Auklet has number 'x'"),
    "a line of three words": (changed("classes.txt", "8 008", "8 8 008"), r"classes\.txt: line 8 holds 3 words"),
    "half an image": (lambda folder: (folder / "images" / LAST).write_bytes(b"\x89PNG\r\n"), f"{LAST} is no image"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_named(what: str, root: Path) -> None:
    spoil, words = BROKEN[what]
    spoil(root / "CUB_200_2011")
    with pytest.raises(UserError, match=words) as caught:
        CUB200(str(root), image_size=8).prepare_data()
    assert str(root) in str(caught.value) and "\n" not in str(caught.value)
