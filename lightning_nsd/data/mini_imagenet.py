"""miniImageNet in any of the forms that it is passed around in."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from lightning_nsd.data.array_pickle import as_images, as_indices, has_class_pickles, read_class_pickles, read_dict
from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.decoding import read_classes, resize_arrays
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.data.in_memory import InMemoryDataModule
from lightning_nsd.data.split_folders import by_split, find_split_folders
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Pixels, bounded, shown

Splits = Mapping[Split, Mapping[str, Tensor]]
Classes = Iterator[tuple[str, np.ndarray]]

_WITH_CLASSES = {split: f"mini-imagenet-cache-{split}.pkl" for split in SPLITS}
_WITH_LABELS: dict[Split, str] = {
    "train": "miniImageNet_category_split_train_phase_train.pickle",
    "val": "miniImageNet_category_split_val.pickle",
    "test": "miniImageNet_category_split_test.pickle",
}
_PAPERS_NAME = "minimagenet"  # as the code of arXiv 2205.15463 spells it
_MAX_LABEL = 1_000_000


@bounded("data")
class MiniImageNet(InMemoryDataModule):
    """Photographs of 100 classes of ImageNet, 600 each, 84 × 84 pixels in most forms; 64, 16 and 20 classes.

    The first form found in `root` is read, with its own split, which is that of Ravi and Larochelle (2017) wherever the
    data set of Vinyals et al. (2016) is passed around:

    1. `train/<class>/…`, `val/<class>/…` and `test/<class>/…`, folders of images, cut to their middle square;
    2. `mini-imagenet-cache-{train,val,test}.pkl`: a dict of `image_data`, uint8 `(n, 84, 84, 3)`, and `class_dict`,
       from class name to indices;
    3. `miniImageNet_category_split_{train_phase_train,val,test}.pickle`: a dict of `data`, uint8 `(n, 84, 84, 3)`, and
       `labels`, perhaps with `catname2label`;
    4. `{train,val,test}_minimagenet.pkl` of the code of Few-Shot Diffusion Models (arXiv 2205.15463).

    Args:
        root: folder to look in; nothing is downloaded.
        image_size: height and width to resize to; the paper has 32.
    """

    def __init__(self, root: str = "data/mini_imagenet", image_size: Pixels = 32, **kwargs: Any) -> None:
        super().__init__(root=root, image_size=image_size, channels=3, **kwargs)

    def read_splits(self) -> Splits:
        reader = find_reader(self.root, self.image_size)
        if reader is None:
            raise UserError(_missing(self.root))
        return reader()


def find_reader(root: Path, image_size: int) -> Callable[[], Splits] | None:
    """How to read what is in `root`; None if no form of miniImageNet is there."""
    if root.is_dir() and (folders := find_split_folders(root)):
        return partial(_read_folders, root, folders, image_size)
    for names, read in ((_WITH_CLASSES, _read_with_classes), (_WITH_LABELS, _read_with_labels)):
        if any((root / name).is_file() for name in names.values()):
            return partial(_read_each, root, names, read, image_size)
    if has_class_pickles(root, _PAPERS_NAME):
        return partial(read_class_pickles, root, _PAPERS_NAME, image_size)
    return None


def _missing(root: Path) -> str:
    return (
        f"No miniImageNet in {root.absolute()}. Looked for train/, val/ and test/ with class folders, "
        f"{_WITH_CLASSES['train']}, {_WITH_LABELS['train']} and train_{_PAPERS_NAME}.pkl, each with its two others. "
        "Make them from ImageNet (https://github.com/yaoyao-liu/mini-imagenet-tools), or set data.root to a folder "
        "that holds one of these forms."
    )


# ---- the forms ----


def _read_folders(root: Path, folders: Mapping[Split, str], image_size: int) -> Splits:
    tree = ImageTree.of_folder(root, depth=2, within=tuple(folders.values()))
    if not tree.classes:
        train, val, test = (f"{folders[split]}/<class>/" for split in SPLITS)
        raise UserError(f"{root}: no images in {train}, {val} or {test}.")
    return by_split(read_classes(tree, image_size, channels=3), folders)


def _read_each(root: Path, names: Mapping[Split, str], read: Callable[[Path], Classes], image_size: int) -> Splits:
    """A file a split."""
    splits = {}
    for split, name in names.items():
        splits[split] = {key: resize_arrays(images, image_size) for key, images in read(root / name)}
    return splits


def _read_with_classes(path: Path) -> Classes:
    content = read_dict(path)
    images = as_images(content.get("image_data"), "'image_data'", path)
    members = content.get("class_dict")
    if not isinstance(members, dict):
        raise UserError(f"{path}: 'class_dict' is no dict from class name to indices. Delete it and get it again.")
    for name, index in members.items():
        yield str(name), images[as_indices(index, len(images), f"class {shown(name)}", path)]


def _read_with_labels(path: Path) -> Classes:
    content = read_dict(path)
    images = as_images(content.get("data"), "'data'", path)
    labels = as_indices(content.get("labels"), _MAX_LABEL, "'labels'", path)
    if len(labels) != len(images):
        raise UserError(f"{path}: {len(labels)} labels of {len(images)} images. Delete it and get it again.")
    names = _names(content.get("catname2label"))
    for label in np.unique(labels).tolist():
        yield names.get(label, str(label)), images[labels == label]


def _names(labels_of_names: object) -> dict[int, str]:
    """Label → class name, as far as a file tells."""
    if not isinstance(labels_of_names, dict):
        return {}
    return {label: str(name) for name, label in labels_of_names.items() if isinstance(label, int)}
