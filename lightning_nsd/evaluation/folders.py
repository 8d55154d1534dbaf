"""Two folders of class folders, made by anybody, compared class by class."""

from pathlib import Path

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from tqdm.auto import tqdm

from lightning_nsd.data.decoding import decode_classes, named, size_of
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.data.split_folders import find_split_folders
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.comparison import Comparison
from lightning_nsd.evaluation.populations import Population, choose_classes
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.row import Row
from lightning_nsd.evaluation.settings import EvaluationSettings
from lightning_nsd.rng import generator

SPLIT = "folders"


def compare_folders(
    real_dir: Path, generated_dir: Path, settings: EvaluationSettings, image_size: int | None, device: torch.device
) -> Report:
    """Distances of every class that both folders have; those that one lacks are NaN with the reason.

    Args:
        real_dir: `<real_dir>/<class>/<image>`.
        generated_dir: the same of generated images.
        settings: of these the classes, the numbers of images, the extractor and the cache count.
        image_size: images are cut to their middle square and resized to it; that of the first real one where None.

    Raises:
        UserError: a folder without class folders, an image that cannot be read, or an extractor that cannot be loaded.
    """
    trees = [_tree(folder) for folder in (real_dir, generated_dir)]
    names = sorted({name for tree in trees for name in tree.classes})
    chosen = choose_classes(names, settings.classes, seed=0, split="test")
    comparison = Comparison(settings)
    comparison.extractor()  # one that cannot be loaded is an error here, before the images are read
    size = image_size or _size_of_first(trees[0])
    real, generated = (decode_classes(tree, size, channels=3, convert_colour=True) for tree in trees)
    report = comparison.report(SPLIT, None, real_dir=str(real_dir), generated_dir=str(generated_dir), image_size=size)
    empty = torch.empty(0, 3, size, size, dtype=torch.uint8)
    for name in tqdm(chosen, desc=report.distance, unit="class"):
        report.rows.append(_row(name, real.get(name, empty), generated.get(name, empty), comparison, device))
    report.complete = True
    return report


def _row(name: str, real: Tensor, generated: Tensor, comparison: Comparison, device: torch.device) -> Row:
    """As many generated images as real ones, and no more than asked for."""
    settings = comparison.settings
    n = min(settings.num_samples, len(real), len(generated))
    if n < settings.min_samples:
        reason = (
            f"{len(real)} real and {len(generated)} generated images; a distance needs at least {settings.min_samples} "
            "of each"
        )
        rank_zero_warn(f"{name} is NaN: {reason}.")
        return Row(name, len(real), 0, reason=reason)
    if len(real) != len(generated):
        rank_zero_warn(f"{name} has {len(real)} real and {len(generated)} generated images; {n} of each are compared.")
    population, rng = Population(name, len(real), n), generator(0)
    real = real[torch.randperm(len(real), generator=rng)[: 2 * n]]
    generated = generated[torch.randperm(len(generated), generator=rng)[:n]]
    row = comparison.compare(population, lambda: real, generated, device)
    comparison.failures.raise_together([row.reason])
    return row


def _tree(folder: Path) -> ImageTree:
    if folder.is_dir() and (splits := find_split_folders(folder)):
        raise UserError(
            f"{folder} is divided into {', '.join(splits.values())}, which are no classes. Name one of them."
        )
    tree = ImageTree.of_folder(folder, depth=1) if folder.is_dir() else None
    if tree is None or not tree.classes:
        raise UserError(f"{folder.absolute()} is to hold one folder of images for each class, <class>/<image>.")
    return tree


def _size_of_first(tree: ImageTree) -> int:
    first = tree.files[0]
    with tree.open() as read, named(tree.source / first):
        return min(size_of(read(first)))
