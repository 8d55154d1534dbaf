"""CUB-200-2011: birds of 200 species."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lightning_nsd.data.array_pickle import has_class_pickles, read_class_pickles
from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.decoding import read_classes
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.data.in_memory import InMemoryDataModule
from lightning_nsd.data.listing import NUMBER, check_listed, read_pairs
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Pixels, bounded

_FOLDER = "CUB_200_2011"
_ARCHIVE = f"{_FOLDER}.tgz"
_LISTS = ("classes.txt", "images.txt", "image_class_labels.txt")
_PAGE = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
_PAPERS_NAME = "cub"


@bounded("data")
class CUB200(InMemoryDataModule):
    """Photographs of 200 species of birds, about 60 each, of many sizes; 100, 50 and 50 species.

    The first form found in `root` is read:

    1. the official folder `CUB_200_2011/` (`root` may also be it), with `images/<class>/*.jpg` and the lists
       `classes.txt`, `images.txt` and `image_class_labels.txt`;
    2. `{train,val,test}_cub.pkl` of the code of Few-Shot Diffusion Models (arXiv 2205.15463), with their own split.

    Every second class is for training, from the first on; the others are for validation and for the test in turn: the
    split of A Closer Look at Few-shot Classification (Chen et al. 2019, arXiv 1904.04232). Images are cut to their
    middle square and resized; bounding boxes are not used.

    Args:
        root: folder to look in; nothing is downloaded.
        image_size: height and width to resize to.
    """

    def __init__(self, root: str = "data/cub200", image_size: Pixels = 64, **kwargs: Any) -> None:
        super().__init__(root=root, image_size=image_size, channels=3, **kwargs)

    def read_splits(self) -> Mapping[Split, Mapping[str, Tensor]]:
        folder = self.root if (self.root / "images.txt").is_file() else self.root / _FOLDER
        if folder.is_dir():
            tree, split_of = read_lists(folder)
            classes = read_classes(tree, self.image_size, channels=3)
            return {part: {n: x for n, x in classes.items() if split_of[n] == part} for part in SPLITS}
        if has_class_pickles(self.root, _PAPERS_NAME):
            return read_class_pickles(self.root, _PAPERS_NAME, self.image_size)
        raise UserError(_missing(self.root))


def read_lists(folder: Path) -> tuple[ImageTree, dict[str, Split]]:
    """The images of the official folder, and the split of every class.

    Raises:
        UserError: a list that is missing or broken, or that does not fit the others or the images.
    """
    classes, images, labels = (read_pairs(folder / name) for name in _LISTS)
    for number, name in classes.items():
        if not NUMBER.fullmatch(number) or int(number) > len(classes):
            raise UserError(
                f"{folder / _LISTS[0]}: {name[:100]} has number {number[:20]!r} among {len(classes)} classes. "
                "Unpack the archive again."
            )
    tree = ImageTree.of_folder(folder, depth=2, within=("images",))
    check_listed(
        folder / _LISTS[1], images.values(), folder / "images", [name[len("images/") :] for name in tree.files]
    )
    check_listed(folder / _LISTS[2], labels, folder / _LISTS[1], images)
    for image, number in labels.items():
        found = images[image].partition("/")[0]
        if classes.get(number) != found:
            raise UserError(
                f"{folder / _LISTS[2]}: image {image[:20]} is of class {number[:20]!r}, which {_LISTS[0]} does not "
                f"call {found[:100]}. Unpack the archive again."
            )
    named = {path.partition("/")[2]: names for path, names in tree.classes.items()}
    return ImageTree(tree.source, named), {name: _split_of(int(number)) for number, name in classes.items()}


def _split_of(number: int) -> Split:
    """The split of a class, which are numbered from 1."""
    return "train" if number % 2 else "val" if number % 4 == 2 else "test"


def _missing(root: Path) -> str:
    if (root / _ARCHIVE).is_file():
        return f"{root / _ARCHIVE} is not read as it is. Unpack it there: tar -xzf {_ARCHIVE} makes {_FOLDER}/."
    return (
        f"No CUB-200-2011 in {root.absolute()}: {_FOLDER}/ with images/, {', '.join(_LISTS)} is missing. Get "
        f"{_ARCHIVE} from {_PAGE} and unpack it there, or set data.root to a folder that holds {_FOLDER}/."
    )
