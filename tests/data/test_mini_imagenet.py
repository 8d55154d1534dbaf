import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightning_nsd.data import MiniImageNet
from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.errors import UserError

SIZE = 84
CLASSES: dict[Split, tuple[str, ...]] = {
    "train": ("n01532829", "n01558993"),
    "val": ("n01855672",),
    "test": ("n01930112", "n01981276"),
}
NAMES = [name for names in CLASSES.values() for name in names]
IMAGES = 3


def pixels(name: str, images: int = IMAGES) -> np.ndarray:
    """The images `(images, 84, 84, 3)` of a class."""
    draw = np.random.default_rng(NAMES.index(name))
    return draw.integers(0, 256, (images, SIZE, SIZE, 3), dtype=np.uint8)


def write_folders(root: Path) -> None:
    for split, names in CLASSES.items():
        for name in names:
            (root / split / name).mkdir(parents=True)
            for i, image in enumerate(pixels(name)):
                Image.fromarray(image).save(root / split / name / f"{name}{i:08}.png")


def mixed(names: tuple[str, ...], images: int = IMAGES) -> tuple[np.ndarray, list[str]]:
    """All images of some classes, class by class in turn, and the class of each."""
    stacked = np.stack([pixels(name, images) for name in names], axis=1)  # (images, classes, 84, 84, 3)
    return stacked.reshape(-1, SIZE, SIZE, 3), list(names) * images


def with_classes(names: tuple[str, ...], images: int = IMAGES) -> dict[str, object]:
    data, of = mixed(names, images)
    return {"image_data": data, "class_dict": {name: [i for i, n in enumerate(of) if n == name] for name in names}}


def with_labels(names: tuple[str, ...]) -> dict[str, object]:
    data, of = mixed(names)
    first = NAMES.index(names[0])  # labels go on from split to split
    catalogue = {name: first + i for i, name in enumerate(names)}
    return {"data": data, "labels": [catalogue[name] for name in of], "catname2label": catalogue}


def write_mini_imagenet(root: Path, images: int = IMAGES) -> None:
    """The three pickles with `image_data` and `class_dict`."""
    root.mkdir(exist_ok=True)
    for split, names in CLASSES.items():
        content = with_classes(names, images)
        (root / f"mini-imagenet-cache-{split}.pkl").write_bytes(pickle.dumps(content, protocol=2))


def write_labelled(root: Path) -> None:
    root.mkdir()
    for split, names in CLASSES.items():
        middle = "train_phase_train" if split == "train" else split
        file = root / f"miniImageNet_category_split_{middle}.pickle"
        file.write_bytes(pickle.dumps(with_labels(names), protocol=2))


def write_papers(root: Path) -> None:
    root.mkdir()
    for split, names in CLASSES.items():
        content = {name: pixels(name) for name in names}
        (root / f"{split}_minimagenet.pkl").write_bytes(pickle.dumps(content))


FORMS: dict[str, Callable[[Path], object]] = {
    "folders": write_folders,
    "pickles with classes": write_mini_imagenet,
    "pickles with labels": write_labelled,
    "the paper's pickles": write_papers,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_its_own_split_and_all_images_of_a_class(form: str, tmp_path: Path) -> None:
    FORMS[form](tmp_path / "data")
    data = MiniImageNet(str(tmp_path / "data"), image_size=SIZE)
    for split, names in CLASSES.items():
        image_set = data.load_split(split)
        assert image_set.class_names == names
        for i, name in enumerate(names):
            expected = pixels(name).transpose(0, 3, 1, 2)
            np.testing.assert_array_equal(image_set.of_class(i).numpy(), expected, strict=True)


def test_every_form_is_resized_alike(tmp_path: Path) -> None:
    found = []
    for form, write in FORMS.items():
        write(tmp_path / form)
        found.append(MiniImageNet(str(tmp_path / form), image_size=32).load_split("val").images.numpy())
    assert found[0].shape == (IMAGES, 3, 32, 32)
    for images in found[1:]:
        np.testing.assert_array_equal(images, found[0])


def test_labels_without_names_name_the_classes(tmp_path: Path) -> None:
    write_labelled(tmp_path / "data")
    file = tmp_path / "data" / "miniImageNet_category_split_test.pickle"
    content = with_labels(CLASSES["test"])
    file.write_bytes(pickle.dumps({"data": content["data"], "labels": np.array(content["labels"])}))
    assert MiniImageNet(str(tmp_path / "data")).load_split("test").class_names == ("3", "4")


# ---- what is missing or broken ----


def test_nothing_there_says_what_was_looked_for_and_where_it_is_from(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        MiniImageNet(str(tmp_path / "none")).prepare_data()
    (sentence,) = str(caught.value).splitlines()
    for part in (str(tmp_path), "train/", "mini-imagenet-cache-train.pkl", "train_phase_train.pickle",
                 "train_minimagenet.pkl", "https://", "data.root"):  # fmt: skip
        assert part in sentence


def test_folders_without_images_are_named(tmp_path: Path) -> None:
    for split in SPLITS:
        (tmp_path / split / "n0").mkdir(parents=True)
    with pytest.raises(UserError, match=r"no images in train/<class>/, val/<class>/ or test/<class>/"):
        MiniImageNet(str(tmp_path)).prepare_data()


def test_one_of_three_pickles_that_is_missing_is_named(tmp_path: Path) -> None:
    write_mini_imagenet(tmp_path)
    (tmp_path / "mini-imagenet-cache-val.pkl").unlink()
    with pytest.raises(UserError, match=r"mini-imagenet-cache-val\.pkl cannot be read"):
        MiniImageNet(str(tmp_path)).prepare_data()


DATA = np.zeros((4, 8, 8, 3), np.uint8)
OTHERS: dict[str, tuple[Callable[[Path], object], object, str]] = {
    "no dict": (write_mini_imagenet, [DATA], "holds a list, not a dict"),
    "no images": (write_mini_imagenet, {"class_dict": {}}, "'image_data' is no uint8 array"),
    "floats": (write_mini_imagenet, {"image_data": DATA / 1.0}, "'image_data' is no uint8 array"),
    "grey images": (write_mini_imagenet, {"image_data": DATA[..., :1]}, "'image_data' is no uint8 array"),
    "no squares": (write_mini_imagenet, {"image_data": DATA[:, :4]}, "'image_data' is no uint8 array"),
    "no classes": (write_mini_imagenet, {"image_data": DATA}, "'class_dict' is no dict"),
    "an index out of range": (
        write_mini_imagenet, {"image_data": DATA, "class_dict": {"n1": [0, 4]}},
        "class 'n1' is no list of numbers from 0 to 3",
    ),
    "a negative index": (write_mini_imagenet, {"image_data": DATA, "class_dict": {"n1": [-1]}}, "class 'n1'"),
    "indices of floats": (
        write_mini_imagenet, {"image_data": DATA, "class_dict": {"n1": np.zeros(2)}}, "class 'n1' is no list",
    ),
    "too few labels": (write_labelled, {"data": DATA, "labels": [1, 2]}, "2 labels of 4 images"),
    "a negative label": (write_labelled, {"data": DATA, "labels": [1, 2, 3, -1]}, "'labels' is no list"),
    "labels of text": (write_labelled, {"data": DATA, "labels": list("abcd")}, "'labels' is no list"),
    "a class of nothing": (write_papers, {"n1": None}, "class 'n1' is no uint8 array"),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERS)
def test_a_pickle_of_something_else_is_named(what: str, tmp_path: Path) -> None:
    write, content, words = OTHERS[what]
    write(tmp_path / "data")
    (file,) = (tmp_path / "data").glob("*test*")
    file.write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=words) as caught:
        MiniImageNet(str(tmp_path / "data")).prepare_data()
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_a_pickle_that_wants_to_run_code_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    write_mini_imagenet(tmp_path)
    (tmp_path / "mini-imagenet-cache-train.pkl").write_bytes(
        b"cos\nmkdir\n(V" + str(tmp_path / "made").encode() + b"\ntR."
    )
    with pytest.raises(UserError, match=r"mini-imagenet-cache-train\.pkl.*os\.mkdir.*could run code"):
        MiniImageNet(str(tmp_path)).prepare_data()
    assert not (tmp_path / "made").exists()
