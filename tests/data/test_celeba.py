import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_nsd.data import CelebA, celeba
from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.errors import UserError

PEOPLE = (2, 3, 5, 7, 9, 10, 11, 20, 100, 1000)  # sorted as numbers, not as text
IMAGES = 3
FEWER = pytest.mark.filterwarnings("ignore:.*where the paper has")


def grey_of(person: int) -> int:
    """How light all images of a person are."""
    return 20 * PEOPLE.index(person)


def write_celeba(root: Path, images: int = IMAGES) -> Path:
    """Ten people in CelebA's official layout; the upper and lower edges, which are cut off, are red."""
    (root / "img_align_celeba").mkdir(parents=True)
    lines = []
    for i in range(images):
        for person in reversed(PEOPLE):
            pixels = np.full((218, 178, 3), (255, 0, 0), np.uint8)
            pixels[16:-16] = grey_of(person)
            pixels[100:110, i] = 255 - i  # no two are the same
            lines.append(f"{len(lines) + 1:06}.jpg {person}")
            Image.fromarray(pixels).save(root / "img_align_celeba" / lines[-1].split()[0], quality=95)
    (root / "identity_CelebA.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree that is only read."""
    return write_celeba(tmp_path_factory.mktemp("celeba"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree of one's own."""
    return write_celeba(tmp_path / "data")


def opened(root: Path, **options: int) -> CelebA:
    return CelebA(str(root), **{"image_size": 16, "min_images": IMAGES} | options)


@FEWER
def test_a_class_is_a_person_and_holds_the_middle_squares_of_its_images(shared: Path) -> None:
    data = opened(shared, image_size=32)
    for split in SPLITS:
        image_set = data.load_split(split)
        assert image_set.counts.tolist() == [IMAGES] * len(image_set)
        assert image_set.images.shape[1:] == (3, 32, 32)
        for i, name in enumerate(image_set.class_names):
            middle = image_set.of_class(i)[..., 1:-1, 4:].float()  # the square's edge touches the red one
            assert (middle - grey_of(int(name))).abs().max() <= 8


def test_people_are_divided_in_the_order_of_their_numbers_and_it_is_said_how(shared: Path) -> None:
    data = opened(shared)
    with pytest.warns(UserWarning, match=r"10 people.*7 / 1 / 2 for train, val and test.*4,444 / 635 / 1,270"):
        split = {name: data.load_split(name).class_names for name in SPLITS}
    assert split == {"train": ("2", "3", "5", "7", "9", "10", "11"), "val": ("20",), "test": ("100", "1000")}


def test_as_many_people_as_the_paper_has_are_divided_as_there() -> None:
    assert celeba._split_sizes(4444 + 635 + 1270) == (4444, 635, 1270)


@FEWER
def test_people_with_too_few_images_are_left_out(root: Path) -> None:
    listing = root / "identity_CelebA.txt"
    listing.write_text(listing.read_text().replace("000001.jpg 1000", "000001.jpg 2"))
    data = opened(root)
    train, val, test = (data.load_split(name) for name in SPLITS)
    assert train.class_names == ("2", "3", "5", "7", "9", "10") and train.counts.tolist() == [4, 3, 3, 3, 3, 3]
    assert val.class_names + test.class_names == ("11", "20", "100")


@FEWER
def test_images_lie_in_memory_once(shared: Path) -> None:
    data = opened(shared)
    stores = {data.load_split(name).images.untyped_storage().data_ptr() for name in SPLITS}
    assert len(stores) == 1


@FEWER
def test_zip_and_folders_of_the_download_give_the_same(shared: Path, tmp_path: Path, zip_folder) -> None:
    for folder in ("Img", "Anno"):
        (tmp_path / folder).mkdir()
    zip_folder(shared / "img_align_celeba", tmp_path / "Img" / "img_align_celeba.zip")
    shutil.copy(shared / "identity_CelebA.txt", tmp_path / "Anno")
    for split in SPLITS:
        ours, expected = opened(tmp_path).load_split(split), opened(shared).load_split(split)
        assert ours.class_names == expected.class_names and torch.equal(ours.images, expected.images)


# ---- what is missing or broken ----

MISSING = {
    "img_align_celeba": "img_align_celeba/ or img_align_celeba.zip",
    "identity_CelebA.txt": "identity_CelebA.txt",
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_named_and_where_it_is_from(name: str, root: Path) -> None:
    (root / name).rename(root / "elsewhere")
    with pytest.raises(UserError) as caught:
        opened(root).prepare_data()
    (sentence,) = str(caught.value).splitlines()
    assert f"{root}, which has no {MISSING[name]}." in sentence
    assert "https://mmlab" in sentence and "data.root" in sentence


def changed(old: str, new: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        listing = root / "identity_CelebA.txt"
        listing.write_text(listing.read_text().replace(old, new))

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "an image that is not there": (
        lambda root: (root / "img_align_celeba/000007.jpg").unlink(),
        r"such as 000007\.jpg",
    ),
    "half a list": (changed("\n000030.jpg 2", ""), r"identity_CelebA\.txt does not list 1 of the 30 .*000030\.jpg"),
    "half a line": (changed("000030.jpg 2", "000030.jpg"), r"identity_CelebA\.txt: line 30 holds 1 words"),
    "an image of two people": (changed("000030.jpg 2", "000029.jpg 2"), "line 30 names 000029.jpg again"),
    "a name for a number": (changed("000030.jpg 2", "000030.jpg Ada"), "000030.jpg is of 'Ada'"),
    "a negative number": (changed("000030.jpg 2", "000030.jpg -2"), "000030.jpg is of '-2'"),
    "half an image": (lambda root: cut(root / "img_align_celeba/000007.jpg"), r"000007\.jpg is no image"),
    "bytes": (lambda root: (root / "identity_CelebA.txt").write_bytes(b"\xff\xfe"), "is no text file"),
    "nothing": (lambda root: (root / "identity_CelebA.txt").write_text(""), "is empty"),
}


@FEWER
@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_named(what: str, root: Path) -> None:
    spoil, words = BROKEN[what]
    spoil(root)
    with pytest.raises(UserError, match=words) as caught:
        opened(root).prepare_data()
    assert str(root) in str(caught.value) and "\n" not in str(caught.value)


def test_more_images_than_anybody_has_are_refused(shared: Path) -> None:
    with pytest.raises(UserError, match=r"none of 10 people has 20 images.*data\.min_images"):
        CelebA(str(shared)).prepare_data()


@pytest.mark.parametrize("value", [0, -1, 2.5, "x"])
def test_min_images_is_a_count(value: object) -> None:
    with pytest.raises(UserError, match=r"data\.min_images is"):
        CelebA(min_images=value)  # type: ignore[arg-type]
