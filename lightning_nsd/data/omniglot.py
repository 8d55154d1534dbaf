"""Omniglot: handwritten characters of fifty alphabets, twenty drawers each."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor

from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.decoding import read_classes
from lightning_nsd.data.download import download_or_explain
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.data.in_memory import InMemoryDataModule
from lightning_nsd.data.official import official
from lightning_nsd.data.splits import split_names
from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import whole_file
from lightning_nsd.settings.numbers import Pixels, Probability, Seed, bounded

_UNPACKED = "omniglot-py"  # torchvision's folder
_PART = re.compile(r"(?:.*omniglot.*)?(images_(?:background(?:_small[12])?|evaluation))(?:\.zip)?", re.IGNORECASE)
_SMALL = ("images_background_small1", "images_background_small2")


@bounded("data")
class Omniglot(InMemoryDataModule):
    """Grey characters, black (0) on white (255), divided by alphabet; a class is `<alphabet>/<character>`.

    `root` holds the official parts, each as a folder `images_…/<alphabet>/<character>/*.png` or as a zip, which
    is not unpacked: `images_background`, `images_evaluation`, or the small `images_background_small1` and `…2`
    (also with `omniglot_` before them, as torchvision's `omniglot-py/` in `root`, and `root` may be such a
    folder or zip itself). With `images_evaluation` the test split is its twenty alphabets and `val_fraction` of
    the other alphabets are for validation; without it both fractions are taken at random.

    Args:
        root: folder to look in and to download to.
        image_size: height and width to resize to, of 105 pixels.
        val_fraction: part of the alphabets that is for validation.
        test_fraction: part of the alphabets that is for the test, where `images_evaluation` is not there.
        split_seed: key of the division.
        download: fetch `images_background` and `images_evaluation` if there is nothing.
    """

    def __init__(
        self,
        root: str = "data/omniglot",
        image_size: Pixels = 28,
        val_fraction: Probability = 0.15,
        test_fraction: Probability = 0.15,
        split_seed: Seed = 0,
        download: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, image_size=image_size, channels=1, **kwargs)
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.split_seed = split_seed
        self.download = download

    def prepare_data(self) -> None:
        if self.download and not find_parts(self.root):
            download_or_explain(lambda: _download(self.root), self.root, _missing(self.root))
        super().prepare_data()

    def read_splits(self) -> Mapping[Split, Mapping[str, Tensor]]:
        parts = find_parts(self.root)
        if not parts:
            raise UserError(_missing(self.root))
        background: dict[str, Tensor] = {}
        evaluation: dict[str, Tensor] = {}
        for part, path in parts.items():
            classes = evaluation if part == "images_evaluation" else background
            # the small parts share two alphabets, image for image
            classes.update(_read_part(path, self.image_size))
        if not background or not evaluation:
            return self._divide(background or evaluation, self.test_fraction)
        return {**self._divide(background, test_fraction=0), "test": evaluation}

    def _divide(self, classes: Mapping[str, Tensor], test_fraction: Probability) -> dict[Split, dict[str, Tensor]]:
        alphabets = sorted({_alphabet(name) for name in classes})
        split = split_names(alphabets, self.val_fraction, test_fraction, self.split_seed)
        return {part: {n: x for n, x in classes.items() if _alphabet(n) in split[part]} for part in SPLITS}


def find_parts(root: Path) -> dict[str, Path]:
    """Official name of a part → folder or zip; folders come before zips, and the whole before its small parts."""
    parts: dict[str, Path] = {}
    inside = sorted(root.iterdir()) if root.is_dir() else []
    unpacked_by_torchvision = root / _UNPACKED
    inside += sorted(unpacked_by_torchvision.iterdir()) if unpacked_by_torchvision.is_dir() else []
    for path in [root, *sorted(inside, key=Path.is_file)]:
        match = _PART.fullmatch(path.name)
        if match and (path.is_dir() or (path.suffix.lower() == ".zip" and path.is_file())):
            parts.setdefault(match[1].lower(), path)
    if "images_background" in parts:
        parts = {part: path for part, path in parts.items() if part not in _SMALL}
    return parts


def _read_part(path: Path, image_size: int) -> dict[str, Tensor]:
    tree = ImageTree.of_folder(path, depth=2) if path.is_dir() else ImageTree.of_zip(path, depth=2)
    if not tree.classes:
        raise UserError(f"{path}: no images in <alphabet>/<character>/.")
    return read_classes(tree, image_size, channels=1)


def _alphabet(class_name: str) -> str:
    return class_name.split("/")[0]


def _download(root: Path) -> None:
    """Both parts, under their names only when both are whole: half of Omniglot would be divided differently."""
    ours, files = official("Omniglot")
    with ExitStack() as both:
        for part, md5 in ours.zips_md5.items():
            file = both.enter_context(whole_file(root / f"{part}.zip"))
            files.download_url(f"{ours.download_url_prefix}/{part}.zip", root, Path(file.name).name, md5)


def _missing(root: Path) -> str:
    ours, _ = official("Omniglot")
    return (
        f"No Omniglot in {root.absolute()}. Looked for images_background, images_evaluation, "
        f"{' and '.join(_SMALL)}, as folders or zips.\n"
        "Ways to get it:\n"
        "  1. set data.download=true on a machine with network access;\n"
        f"  2. fetch {ours.download_url_prefix}/images_background.zip and …/images_evaluation.zip elsewhere and "
        "put them there;\n"
        "  3. set data.root to a folder that holds them already."
    )
