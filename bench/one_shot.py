"""How often a reader that has seen one image a class names what a model drew of Omniglot's characters it never saw.

The one-shot task of Lake et al. 2015: a run takes twenty characters of one alphabet, with one image of each by one
drawer; images by another drawer are to be named. Here a model also draws every character from examples by yet other
drawers, and its images are named beside the real ones. The reader learned the training alphabets alone. Originality,
diversity and copies are said in pixels and in the reader's features.

    python bench/one_shot.py --ckpt_path runs/omniglot/last.ckpt --root data/omniglot [--unconditional OTHER/last.ckpt]

It prints the figures as JSON and writes a picture of what was drawn.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
import torch
from judge import Drawings, describe
from one_shot_reader import features_of, named, train_reader
from torch import Tensor, nn
from tqdm import tqdm

import lightning_nsd
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.data.omniglot import Omniglot
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.errors import UserError
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.pictures import grid, write_picture

WAYS = 20
PER_SET = 2
"""Images drawn of a character in a run."""
SHOWN = 12


class Task(NamedTuple):
    """One run of the one-shot task. Image i of every character is by drawer i of its alphabet.

    Attributes:
        classes: of one alphabet, int64 `(K,)`.
        prototype: the drawer of the one image that the reader is given.
        query: the drawer of the real images that are to be named.
        support: drawers of the model's examples, `n_shot` of them.
    """

    classes: Tensor
    prototype: int
    query: int
    support: list[int]


def tasks(image_set: ImageSet, runs: int, n_shot: int, generator: torch.Generator) -> Iterator[Task]:
    """Runs that go around the alphabets; characters and drawers by chance.

    Raises:
        UserError: fewer drawers than a run takes.
    """
    alphabets: dict[str, list[int]] = {}
    for number, name in enumerate(image_set.class_names):
        alphabets.setdefault(name.split("/")[0], []).append(number)
    for run in range(runs):
        characters = torch.tensor(list(alphabets.values())[run % len(alphabets)])
        classes = characters[torch.randperm(len(characters), generator=generator)[:WAYS]]  # (K,)
        drawers = torch.randperm(int(image_set.counts[classes].min()), generator=generator).tolist()
        if len(drawers) < n_shot + 2:
            raise UserError(f"A run takes images by {n_shot + 2} drawers, and a character has {len(drawers)}.")
        yield Task(classes, drawers[0], drawers[1], drawers[2 : n_shot + 2])


def by(image_set: ImageSet, classes: Tensor, drawers: list[int]) -> Tensor:
    """The images of some characters by some drawers, `(K, len(drawers), 1, h, w)` in [-1, 1]."""
    return to_unit_range(image_set.images[image_set.offsets[classes][:, None] + torch.tensor(drawers)])


def read(reader: nn.Module, prototypes: Tensor, images: Tensor) -> float:
    """The part of `images` `(K, m, 1, h, w)` that are named right, given one image `(K, 1, h, w)` of each class."""
    found = named(features_of(reader, prototypes), features_of(reader, images.flatten(0, 1)))
    return float((found == torch.arange(len(images)).repeat_interleave(images.shape[1])).double().mean())


def judge(
    model: FewShotDiffusion, image_set: ImageSet, reader: nn.Module, runs: int, seed: int, picture: Path
) -> dict[str, Any]:
    """What is said about a model's drawings, means over the runs."""
    generator = torch.Generator().manual_seed(seed)
    drawn_right, real_right, described = [], [], []
    spaces = {"feature_": lambda images: features_of(reader, images)}
    rows: list[Tensor] = []
    for task in tqdm(list(tasks(image_set, runs, model.n_shot, generator)), desc="runs"):
        support = by(image_set, task.classes, task.support)  # (K, n_shot, 1, h, w)
        drawn = model.sample(support, PER_SET, generator)  # (K, PER_SET, 1, h, w)
        prototypes = by(image_set, task.classes, [task.prototype])[:, 0]
        drawn_right.append(read(reader, prototypes, drawn))
        real_right.append(read(reader, prototypes, by(image_set, task.classes, [task.query])))
        real = [to_unit_range(image_set.of_class(number)) for number in task.classes.tolist()]
        described.append(describe(Drawings(support[:, None], drawn[:, None]), real, spaces))
        rows.append(torch.cat([support[0], drawn[0]]))
    write_picture(picture, grid(rows[:SHOWN], rule_after=model.n_shot))
    right, of_real = np.array(drawn_right), np.array(real_right)
    means = {name: mean(each[name] for each in described) for name in described[0]}
    return {
        "read_right": float(right.mean()),
        "read_right_standard_error": float(right.std(ddof=1) / runs**0.5) if runs > 1 else None,
        "read_right_real": float(of_real.mean()),
        "ratio": float(right.mean() / of_real.mean()),
        **means,
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path", type=Path, required=True)
    parser.add_argument("--unconditional", type=Path, help="checkpoint of a model without conditioning, for comparison")
    parser.add_argument("--root", default="data/omniglot", help="where Omniglot is")
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--runs", type=int, default=20, help="of the one-shot task")
    parser.add_argument("--reader_steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    model = lightning_nsd.load(arguments.ckpt_path)
    data = Omniglot(root=arguments.root, image_size=model.image_size, n_shot=model.n_shot)
    data.prepare_data()
    image_set = data.image_set(arguments.split)
    reader = train_reader(data.image_set("train"), arguments.reader_steps, arguments.seed)
    result: dict[str, Any] = {
        "alphabets": sorted({name.split("/")[0] for name in image_set.class_names}),
        "characters": len(image_set),
    }
    models = {"conditional": (model, arguments.ckpt_path)}
    if arguments.unconditional:
        models["unconditional"] = (lightning_nsd.load(arguments.unconditional), arguments.unconditional)
    for name, (drawing, path) in models.items():
        picture = path.parent / "one_shot.png"
        found = judge(drawing, image_set, reader, arguments.runs, arguments.seed, picture)
        result[name] = found | {"picture": str(picture)}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
