"""CelebA by identity: a class is a person."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.decoding import read_image_set
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.data.in_memory import InMemoryDataModule
from lightning_nsd.data.listing import NUMBER, check_listed, read_pairs
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Images, Pixels, bounded

_IMAGES = "img_align_celeba"
_IDENTITIES = "identity_CelebA.txt"
_PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
_PAPER = (4444, 635, 1270)  # people for training, validation and test


@bounded("data")
class CelebA(InMemoryDataModule):
    """Photographs of faces, 178 × 218 pixels; a class is a person, named by the number that the official list gives.

    `root` holds two official files: the aligned images, `img_align_celeba/` or `img_align_celeba.zip`, which is not
    unpacked, and `identity_CelebA.txt` (each also in the folders `Img/` and `Anno/` of the official download). The
    people with enough images are sorted by their number: the first 70 % are for training, the next 10 % for validation,
    the last 20 % for the test. There is no seed. This is the rule of the code of Few-Shot Diffusion Models
    (arXiv 2205.15463), which has 4,444, 635 and 1,270 people; one message says so where there are others.

    Images are cut to their middle square and resized. They lie in memory once: 12 kB each at 64 × 64, so that the
    200,000 of CelebA take at most 2.5 GB, and their cache as much of the disk.

    Args:
        root: folder to look in; nothing is downloaded.
        image_size: height and width to resize to.
        min_images: people with fewer images are left out.
    """

    def __init__(
        self, root: str = "data/celeba", image_size: Pixels = 64, min_images: Images = 20, **kwargs: Any
    ) -> None:
        super().__init__(root=root, image_size=image_size, channels=3, **kwargs)
        self.min_images = min_images

    def read_splits(self) -> Mapping[Split, ImageSet]:
        images, listing = _find(self.root, _IMAGES, f"{_IMAGES}.zip"), _find(self.root, _IDENTITIES)
        if images is None or listing is None:
            raise UserError(_missing(self.root, images, listing))
        tree = by_identity(_open(images), listing, self.min_images)
        sizes = _split_sizes(len(tree.classes))
        if sizes != _PAPER:
            given, paper = (" / ".join(f"{size:,}" for size in each) for each in (sizes, _PAPER))
            rank_zero_warn(
                f"{listing}: {len(tree.classes):,} people have {self.min_images} images or more; they are divided into "
                f"{given} for train, val and test, where the paper has {paper}."
            )
        everyone = read_image_set(tree, self.image_size, channels=3)
        first, second = sizes[0], sizes[0] + sizes[1]
        bounds = ((0, first), (first, second), (second, len(everyone)))
        return {split: everyone.between(*bound) for split, bound in zip(SPLITS, bounds, strict=True)}


def by_identity(tree: ImageTree, listing: Path, min_images: int) -> ImageTree:
    """The same images, grouped by person: those with at least `min_images`, sorted by their number.

    Args:
        tree: all images, in any classes.
        listing: the official list, `<image> <number>` a line.

    Raises:
        UserError: the list is broken or does not fit the images, or nobody has so many.
    """
    identities = read_pairs(listing)
    files = {name.rpartition("/")[2]: name for name in tree.files}
    check_listed(listing, identities, tree.source, files)
    people: defaultdict[int, list[str]] = defaultdict(list)
    for image, number in identities.items():
        if not NUMBER.fullmatch(number):
            raise UserError(f"{listing}: {image} is of {number[:100]!r}, which is no number of a person. Get it again.")
        people[int(number)].append(files[image])
    kept = {str(number): tuple(people[number]) for number in sorted(people) if len(people[number]) >= min_images}
    if not kept:
        raise UserError(
            f"{listing}: none of {len(people):,} people has {min_images} images. Lower data.min_images or add images."
        )
    return ImageTree(tree.source, kept)


def _split_sizes(people: int) -> tuple[int, int, int]:
    """How many are for training, validation and test."""
    first, second = 7 * people // 10, 8 * people // 10
    return first, second - first, people - second


def _open(images: Path) -> ImageTree:
    if images.is_dir():
        return ImageTree.of_folder(images.parent, depth=1, within=(images.name,))
    return ImageTree.of_zip(images, depth=1)


def _find(root: Path, *names: str) -> Path | None:
    """The first that is there, in `root` or in the folders that the official download makes."""
    places = [root / folder / name for name in names for folder in ("", "Img", "Anno")]
    return next((place for place in places if place.exists()), None)


def _missing(root: Path, images: Path | None, listing: Path | None) -> str:
    wanted = [f"{_IMAGES}/ or {_IMAGES}.zip"] * (images is None) + [_IDENTITIES] * (listing is None)
    return (
        f"No CelebA in {root.absolute()}, which has no {' and no '.join(wanted)}. Get it from {_PAGE} (for "
        "non-commercial research) and put it there, or set data.root to a folder that holds it."
    )
