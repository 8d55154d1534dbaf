"""CIFAR-100 in any of the forms that it is passed around in, by FC100's split or mixed."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from lightning_nsd.data.array_pickle import as_indices, class_pickle, has_class_pickles, read_class_pickles
from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.decoding import read_classes
from lightning_nsd.data.download import download_or_explain
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.data.in_memory import InMemoryDataModule
from lightning_nsd.data.official import official
from lightning_nsd.data.safe_pickle import read_pickle
from lightning_nsd.data.splits import fc100_split, mixed_split
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Seed, bounded

Splits = Mapping[Split, Mapping[str, Tensor]]
Division = Literal["fc100", "mixed"]
DIVISIONS: tuple[Division, ...] = get_args(Division)

_PARTS = ("train", "test")  # of the original data set, which hold the same classes and are joined
_UNPACKED = "cifar-100-python"  # torchvision's base_folder
_NAME = "cifar100"  # in the names of the JAX source's pickles


@bounded("data")
class CIFAR100(InMemoryDataModule):
    """32 × 32 photographs of 100 classes, 600 each, divided into 60, 20 and 20 classes.

    By superclass (FC100, Oreshkin et al. 2018) no class of the test resembles one of the training; mixed, every
    superclass may be on all sides (the mixed CIFAR-100 of Few-Shot Diffusion Models, arXiv 2205.15463).

    The first form found in `root` is read; a class has all its images, those of CIFAR's train and test files:

    1. `train/<class>/*.png` and `test/<class>/*.png`;
    2. the same in a zip, `*cifar100*.zip` (`root` may also be the zip itself), which is not unpacked;
    3. `train_cifar100.pkl`, `val_cifar100.pkl`, `test_cifar100.pkl` of the JAX source, with their own split;
    4. `cifar-100-python/`, torchvision's files, which are downloaded when there is nothing else.

    Args:
        root: folder to look in and to download to.
        download: fetch the data set if it is not there.
        division: `fc100` (pickles of the JAX source keep their own split), or `mixed`: any form, at random by class.
        split_seed: key of the mixed division; the same classes for the same key, whatever the form and the machine.

    Raises:
        UserError: another division.
    """

    def __init__(
        self,
        root: str = "data/cifar100",
        download: bool = True,
        division: Division = "fc100",
        split_seed: Seed = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, image_size=32, channels=3, **kwargs)
        self.download = download
        self.division = division
        self.split_seed = split_seed

    def prepare_data(self) -> None:
        if find_reader(self.root) is None:
            ours, files = official("CIFAR100")
            archive_is_there = files.check_integrity(str(self.root / ours.filename), ours.tgz_md5)
            if self.download or archive_is_there:
                # a whole archive is only unpacked
                fetch = partial(files.download_and_extract_archive, ours.url, self.root, md5=ours.tgz_md5)
                download_or_explain(fetch, self.root, _missing(self.root))
        super().prepare_data()

    def read_splits(self) -> Splits:
        reader = find_reader(self.root)
        if reader is None:
            raise UserError(_missing(self.root))
        splits = reader()
        if self.division == "fc100":
            return splits
        classes = _joined(pair for classes in splits.values() for pair in classes.items())
        return _by_names(classes, mixed_split(self.split_seed), self.root)


def find_reader(root: Path) -> Callable[[], Splits] | None:
    """How to read what is in `root`; None if no form of CIFAR-100 is there."""
    zips = [root] if root.is_file() else sorted(root.glob("*cifar100*.zip"))
    if (root / "train").is_dir():
        return lambda: read_png_tree(ImageTree.of_folder(root, depth=2, within=_PARTS))
    if zips:
        return lambda: read_png_tree(ImageTree.of_zip(zips[0], depth=2, within=_PARTS))
    if has_class_pickles(root, _NAME):
        return lambda: read_class_pickles(root, _NAME, image_size=32, side=32)
    if (root / _UNPACKED).is_dir():
        return lambda: read_torchvision_files(root / _UNPACKED)
    return None


def _missing(root: Path) -> str:
    pickles = ", ".join(class_pickle(root, split, _NAME).name for split in SPLITS)
    ours, _ = official("CIFAR100")
    return (
        f"No CIFAR-100 in {root.absolute()}. Looked for train/<class>/*.png and test/<class>/*.png, *cifar100*.zip, "
        f"{pickles}, and {_UNPACKED}/.\n"
        "Ways to get it:\n"
        f"  1. set data.download=true on a machine with network access;\n"
        f"  2. fetch {ours.url} elsewhere and put {ours.filename} there;\n"
        "  3. set data.root to a folder that holds one of these forms already."
    )


# ---- the forms ----


def read_png_tree(tree: ImageTree) -> Splits:
    """PNG files `train/<class>/…` and `test/<class>/…` of a folder or zip.

    Raises:
        UserError: no images, a class that CIFAR-100 does not have, or a broken image.
    """
    if not tree.classes:
        raise UserError(f"{tree.source}: no images in train/<class>/ or test/<class>/.")
    parts = read_classes(tree, image_size=32, channels=3)
    classes = _joined((path.split("/")[1], images) for path, images in parts.items())
    return _by_names(classes, fc100_split(), tree.source)


def read_torchvision_files(folder: Path) -> Splits:
    """The original pickles `train`, `test` and `meta`.

    Raises:
        UserError: a file that is missing, damaged or unsafe, or holds something else.
    """
    names = _entry(folder / "meta", "fine_label_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{folder / 'meta'}: 'fine_label_names' is no list of names.")
    images, labels = [], []
    for part in _PARTS:
        labels.append(as_indices(_entry(folder / part, "fine_labels"), len(names), "'fine_labels'", folder / part))
        images.append(_rgb_rows(_entry(folder / part, "data"), len(labels[-1]), folder / part))
    all_images, all_labels = np.concatenate(images), np.concatenate(labels)
    classes = {name: torch.from_numpy(all_images[all_labels == i]) for i, name in enumerate(names)}
    return _by_names(classes, fc100_split(), folder)


def _entry(path: Path, key: str) -> Any:
    content = read_pickle(path)
    if not isinstance(content, dict) or key not in content:
        raise UserError(f"{path} holds no {key!r}: it is not CIFAR-100's file.")
    return content[key]


def _rgb_rows(data: Any, num_images: int, path: Path) -> np.ndarray:
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != (num_images, 3 * 32 * 32):
        raise UserError(f"{path}: 'data' is no uint8 array of {num_images} rows of 3072 bytes.")
    return data.reshape(num_images, 3, 32, 32)


def _joined(parts: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """All images of each class, which may come in several parts."""
    joined: dict[str, list[Tensor]] = {}
    for name, images in parts:
        joined.setdefault(name, []).append(images)
    return {name: torch.cat(images) for name, images in joined.items()}


def _by_names(classes: Mapping[str, Tensor], split: Mapping[Split, Iterable[str]], source: Path) -> Splits:
    unknown = sorted(set(classes).difference(*split.values()))
    if unknown:
        raise UserError(f"{source}: {', '.join(unknown[:10])}: no class of CIFAR-100. ClassFolder reads any classes.")
    return {part: {name: classes[name] for name in names if name in classes} for part, names in split.items()}
