"""Runs that are evaluated class by class, with the smallest model and a small extractor."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer

from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.checkpoints.io import AtomicCheckpointIO
from tests.evaluation.conftest import MEANS


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


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "offline")
