"""Runs that are evaluated class by class, with the smallest model and a small extractor."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.checkpoints.io import AtomicCheckpointIO
from lightning_nsd.data.datamodule import EpisodeDataModule, Split
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.module import FewShotDiffusion
from tests.conftest import tiny_dit, tiny_set_vit

SIZE, CHANNELS, N_SHOT = 8, 3, 1
SIZES = {"wolf": 600, "bee": 7, "elm": 2, "ray": 1, "cup": 0}
MEANS = "tests.callbacks.conftest.Means"


class Means(nn.Module):
    """The mean of each channel and of its squares, `(n, 6)`."""

    def forward(self, images: Tensor) -> Tensor:
        values = images.float() / 255
        return torch.cat([values.mean(dim=(2, 3)), values.square().mean(dim=(2, 3))], dim=1)


class SizedData(EpisodeDataModule):
    """Classes of given sizes, the same in every split."""

    def __init__(self, sizes: dict[str, int], **kwargs: Any) -> None:
        super().__init__(SIZE, CHANNELS, N_SHOT, **{"batch_size": 2, "eval_episodes": 2, **kwargs})
        self.sizes = sizes

    def load_split(self, split: Split) -> ImageSet:
        draw = torch.Generator().manual_seed(len(split))
        shapes = {name: (n, CHANNELS, SIZE, SIZE) for name, n in self.sizes.items()}
        return ImageSet.from_classes(
            {name: torch.randint(256, shape, generator=draw).to(torch.uint8) for name, shape in shapes.items()}
        )


def make_module(**kwargs: Any) -> FewShotDiffusion:
    settings: dict[str, Any] = {
        "encoder": tiny_set_vit, "denoiser": tiny_dit, "diffusion": GaussianDiffusion(num_steps=20),
        "sampler": DDIM(2), "ema_decay": 0.9, **kwargs,
    }  # fmt: skip
    return FewShotDiffusion(SIZE, CHANNELS, N_SHOT, **settings)


def make_callback(**kwargs: Any) -> PerClassFID:
    return PerClassFID(**{"extractor": MEANS, "num_samples": 12, "batch_size": 8, **kwargs})


def make_trainer(root: Path, callback: PerClassFID, **kwargs: Any) -> Trainer:
    settings: dict[str, Any] = {
        "accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False,
        "enable_model_summary": False, "num_sanity_val_steps": 0, "check_val_every_n_epoch": None,
        "plugins": [AtomicCheckpointIO()], "callbacks": [callback], "default_root_dir": root,
        "enable_checkpointing": False, **kwargs,
    }  # fmt: skip
    return Trainer(**settings)


Evaluate = Callable[..., tuple[dict[str, dict[str, str]], dict[str, Any]]]


def evaluate(root: Path, sizes: dict[str, int], data: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    """Validate an untrained model; the rows of the CSV by class, and the JSON."""
    make_trainer(root, make_callback(**kwargs)).validate(make_module(), SizedData(sizes, **(data or {})), verbose=False)
    return read_tables(root)


def read_tables(root: Path, name: str = "val_*") -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    """Rows of `per_class.csv` by class, and `per_class.json`, of the newest evaluation."""
    folder = sorted((root / "distances").glob(name))[-1]
    with (folder / "per_class.csv").open(encoding="utf-8") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    return rows, json.loads((folder / "per_class.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "offline")
