"""Evaluations of the smallest model on made-up classes, by a small extractor."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from lightning_nsd.data.datamodule import EpisodeDataModule, Split
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.evaluation.evaluator import Evaluator
from lightning_nsd.evaluation.publish import publish
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.row import Row
from lightning_nsd.evaluation.settings import EvaluationSettings
from lightning_nsd.metrics.distances import Distances
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.processes.group import Processes
from tests.conftest import tiny_dit, tiny_set_vit

SIZE, CHANNELS, N_SHOT = 8, 3, 1
MEANS = "tests.evaluation.conftest.Means"
FAILS = "tests.evaluation.conftest.FailsInTheThirdClass"
Tables = tuple[dict[str, dict[str, str]], dict[str, Any]]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Means(nn.Module):
    """The mean of each channel and of its squares, `(n, 6)`."""

    def forward(self, images: Tensor) -> Tensor:
        values = images.float() / 255
        return torch.cat([values.mean(dim=(2, 3)), values.square().mean(dim=(2, 3))], dim=1)


class InTheThirdClass(Means):
    """Something happens once, when it is given the generated images of the third class."""

    calls = at = 0

    @classmethod
    def arm(cls, classes: int) -> None:
        """Count from here: real images of all classes come first, then generated ones and examples of each class."""
        cls.calls, cls.at = 0, classes + 2 * 2 + 1

    def happens(self) -> None:
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        type(self).calls += 1
        if type(self).calls == type(self).at:
            self.happens()
        return super().forward(images)


class FailsInTheThirdClass(InTheThirdClass):
    """Raises once."""

    def happens(self) -> None:
        raise RuntimeError("out of memory, say")


class SizedData(EpisodeDataModule):
    """Classes of given sizes, the same in every split."""

    def __init__(self, sizes: dict[str, int], **kwargs: Any) -> None:
        super().__init__(SIZE, CHANNELS, N_SHOT, **{"batch_size": 2, "eval_episodes": 2, **kwargs})
        self.sizes = sizes

    def load_split(self, split: Split) -> ImageSet:
        return make_image_set(self.sizes, seed=len(split))


def make_image_set(sizes: dict[str, int], seed: int = 0) -> ImageSet:
    """Classes of random images."""
    rng = torch.Generator().manual_seed(seed)
    shapes = {name: (n, CHANNELS, SIZE, SIZE) for name, n in sizes.items()}
    return ImageSet.from_classes(
        {name: torch.randint(256, shape, generator=rng).to(torch.uint8) for name, shape in shapes.items()}
    )


def make_module(**kwargs: Any) -> FewShotDiffusion:
    settings: dict[str, Any] = {
        "encoder": tiny_set_vit, "denoiser": tiny_dit, "diffusion": GaussianDiffusion(num_steps=20),
        "sampler": DDIM(2), "ema_decay": 0.9, **kwargs,
    }  # fmt: skip
    return FewShotDiffusion(SIZE, CHANNELS, N_SHOT, **settings)


def watch_sampling(module: FewShotDiffusion) -> list[tuple[int, int]]:
    """Support sets and their sizes, of every batch that will be sampled."""
    batches: list[tuple[int, int]] = []
    sample = module.sample

    def watch(support: Tensor, *arguments: Any, **kwargs: Any) -> Tensor:
        batches.append((support.shape[0], support.shape[1]))
        return sample(support, *arguments, **kwargs)

    module.sample = watch  # type: ignore[method-assign]
    return batches


def make_settings(**kwargs: Any) -> EvaluationSettings:
    return EvaluationSettings(**{"extractor": MEANS, "num_samples": 12, "batch_size": 8, **kwargs})


def make_evaluator(**kwargs: Any) -> Evaluator:
    evaluator = Evaluator(make_settings(**kwargs))
    evaluator.show_progress = False
    return evaluator


def run(evaluator: Evaluator, sizes: dict[str, int], data: dict[str, Any] | None = None, **module: Any) -> Report:
    """Evaluate the validation classes of an untrained model."""
    return evaluator.run(make_module(**module), SizedData(sizes, **(data or {})), "val", 0, Processes())


def evaluate(root: Path, sizes: dict[str, int], data: dict[str, Any] | None = None, **settings: Any) -> Tables:
    """The same, published; the rows of the CSV by class, and the JSON."""
    publish(run(make_evaluator(**settings), sizes, data), root)
    return read_tables(root)


def read_tables(root: Path, name: str = "val_*") -> Tables:
    """Rows of `per_class.csv` by class, and `per_class.json`, of the newest evaluation."""
    folder = sorted((root / "distances").glob(name))[-1]
    with (folder / "per_class.csv").open(encoding="utf-8") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    return rows, json.loads((folder / "per_class.json").read_text(encoding="utf-8"))


def make_report(distances: list[float]) -> Report:
    """A report of classes with these distances; NaN stands for one that is too small."""
    rows = [
        Row(
            f"class {i}",
            9,
            9,
            Distances(d, 10 * d, 0.5, 0.25, 0.125, 4, d - 1, d + 1),
            reason="" if d == d else "too small",
        )
        for i, d in enumerate(distances)
    ]
    return Report("val", 3, "fd_means", "kd_means", 9, rows=rows)


def make_classes(root: Path, sizes: dict[str, int], seed: int = 0, shade: int = 255) -> Path:
    """A folder of class folders of pictures."""
    rng = np.random.default_rng(seed)
    for name, number in sizes.items():
        (root / name).mkdir(parents=True)
        for i in range(number):
            Image.fromarray(rng.integers(0, shade, (8, 8, 3), dtype=np.uint8)).save(root / name / f"{i}.png")
    return root
