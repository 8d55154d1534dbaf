"""Any folder of class folders."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.decoding import read_classes
from lightning_nsd.data.image_tree import SUFFIXES, ImageTree
from lightning_nsd.data.in_memory import InMemoryDataModule
from lightning_nsd.data.split_folders import by_split, find_split_folders
from lightning_nsd.data.splits import split_names
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Channels, Pixels, Probability, Seed, bounded


@bounded("data")
class ClassFolder(InMemoryDataModule):
    """Images in `<root>/<class>/`, divided by class at random; or in `<root>/{train,val,test}/<class>/`.

    Where the three folders exist, the division is theirs; they may also be called training, valid, validation or
    testing, in any case. Images are cut to their middle square and resized. A class folder may be a link to a folder,
    an image a link to a file; links to folders inside of a class are not followed.

    Args:
        root: the folder.
        image_size: height and width to resize to.
        channels: 1 (grey) or 3 (RGB).
        val_fraction: part of the classes that is for validation, at least one class unless 0.
        test_fraction: the same for the test.
        split_seed: key of the division. Not `seed`, so that other episodes never move a class to another split.
        convert_colour: make grey images of colour ones, or RGB of grey, instead of refusing them.
    """

    def __init__(
        self,
        root: str,
        image_size: Pixels = 32,
        channels: Channels = 3,
        val_fraction: Probability = 0.15,
        test_fraction: Probability = 0.15,
        split_seed: Seed = 0,
        convert_colour: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, image_size=image_size, channels=channels, **kwargs)
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.split_seed = split_seed
        self.convert_colour = convert_colour

    def read_splits(self) -> Mapping[Split, Mapping[str, Tensor]]:
        if not self.root.is_dir():
            raise UserError(f"No folder {self.root.absolute()}. {self._expected()}")
        folders = find_split_folders(self.root)
        tree = ImageTree.of_folder(self.root, depth=2 if folders else 1, within=tuple(folders.values()))
        if not tree.classes:
            raise UserError(f"No class folder with images in {self.root.absolute()}. {self._expected()}")
        classes = read_classes(tree, self.image_size, self.channels, self.convert_colour)
        if folders:
            return by_split(classes, folders)
        names = split_names(list(classes), self.val_fraction, self.test_fraction, self.split_seed)
        return {split: {name: classes[name] for name in names[split]} for split in SPLITS}

    def _expected(self) -> str:
        kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        return (
            "data.root is to hold one folder of images per class, <root>/<class>/<image>, or three folders of such "
            f"folders, <root>/train/<class>/<image>, …/val/…, …/test/… (images: {kinds})."
        )
