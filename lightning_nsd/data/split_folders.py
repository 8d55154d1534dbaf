"""Folders of a data set that are named after its splits."""

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.image_tree import is_image
from lightning_nsd.errors import UserError

NAMES: dict[str, Split] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What splits are called, in any case."""


def find_split_folders(root: Path) -> dict[Split, str]:
    """Split → its folder in `root`; empty where the folders are classes.

    A class may bear such a name too (CIFAR-100 has a class `train`): it holds images and no folders, or is the only one
    of such a name among folders that do. A further folder beside the three is left out with a warning.

    Raises:
        UserError: one of the three is missing, two are of one split, or none has class folders.
    """
    folders = _folders(root)
    named = [name for name in folders if name.lower() in NAMES]
    if not named:
        return {}
    classes = {name for name in folders if _is_class(root / name)}
    splits = [name for name in named if name not in classes]
    others = [name for name in folders if name not in splits]
    if len(splits) <= 1 and classes and (splits or len(named) < len(folders)):
        return {}  # the names are those of classes
    found: dict[Split, str] = {}
    for name in splits:
        split = NAMES[name.lower()]
        if split in found:
            raise UserError(
                f"{root.absolute()} has two folders of the {split} split, {found[split]} and {name}. "
                "Rename or join them."
            )
        found[split] = name
    missing = [split for split in SPLITS if split not in found]
    if missing:
        raise UserError(
            f"{root.absolute()} holds {', '.join(named)}, names of splits and not of classes, but no class folders in "
            f"{', '.join(missing)}. Make all three, <root>/{{train,val,test}}/<class>/<image> (with no class in two of "
            "them), or put the class folders of all splits side by side, and they are divided by class."
        )
    if others:
        rank_zero_warn(f"{root} is divided into {', '.join(splits)}; {', '.join(others)} beside them are left out.")
    return found


def by_split(classes: Mapping[str, Tensor], folders: Mapping[Split, str]) -> dict[Split, dict[str, Tensor]]:
    """Classes of the names `<folder of a split>/<class>` as split → class name → images.

    A class in two splits costs one warning.
    """
    splits: dict[Split, dict[str, Tensor]] = {
        split: {path.split("/")[1]: images for path, images in classes.items() if path.startswith(f"{folder}/")}
        for split, folder in folders.items()
    }
    appearances: defaultdict[str, int] = defaultdict(int)
    for names in splits.values():
        for name in names:
            appearances[name] += 1
    shared = [name for name, times in appearances.items() if times > 1]
    if shared:
        rank_zero_warn(
            f"{len(shared)} classes lie in more than one of train, val and test ({', '.join(shared[:10])}): "
            "evaluation will not be on unseen classes."
        )
    return splits


def _folders(root: Path) -> list[str]:
    return [name for name in _listed(root) if (root / name).is_dir()]


def _is_class(folder: Path) -> bool:
    """Whether it holds images and no folders."""
    return not _folders(folder) and any(is_image(name) for name in _listed(folder))


def _listed(folder: Path) -> list[str]:
    """The names in a folder that are not hidden, sorted."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder} cannot be listed: {error.strerror}") from error
