"""Short runs in this process."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from lightning_nsd.callbacks.finite_loss import FiniteLoss
from lightning_nsd.callbacks.graceful_stop import GracefulStop
from lightning_nsd.callbacks.open_evaluation import OpenEvaluation
from lightning_nsd.callbacks.run_checkpoint import RunCheckpoint
from lightning_nsd.checkpoints.io import AtomicCheckpointIO, read_checkpoint
from lightning_nsd.module import FewShotDiffusion
from tests.conftest import StripedData, make_model

Fit = Callable[..., Trainer]


def run(
    root: Path,
    max_steps: int,
    model: FewShotDiffusion | None = None,
    ckpt_path: Path | str | None = None,
    callbacks: Sequence[Callback] = (),
    data: dict[str, Any] | None = None,
    every: int = 100,
    plugins: Sequence[Any] = (),
    **trainer: Any,
) -> Trainer:
    """Train `max_steps` optimiser steps, as the command line would wire it."""
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "enable_model_summary": False,
        "enable_progress_bar": False,
        "limit_val_batches": 0,
        "logger": False,
        "num_sanity_val_steps": 0,
        "check_val_every_n_epoch": None,
        **trainer,
    }
    wired = [OpenEvaluation(), GracefulStop(), FiniteLoss(), RunCheckpoint(every_n_train_steps=every), *callbacks]
    made = Trainer(
        default_root_dir=root,
        max_steps=max_steps,
        callbacks=wired,
        plugins=[AtomicCheckpointIO(), *plugins],
        **settings,
    )
    module = model or make_model(ema_decay=0.9, context_dropout=0.2)
    made.fit(module, StripedData(**(data or {})), ckpt_path=ckpt_path, weights_only=True)
    return made


@pytest.fixture
def fit() -> Fit:
    return run


def assert_equal_to_the_bit(a: Any, b: Any, where: str = "checkpoint") -> None:
    """Compare tensors and plain values, however nested."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal_to_the_bit(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_equal_to_the_bit(x, y, f"{where}[{i}]")
    else:
        assert a == b, where


def assert_same_end(a: Path, b: Path) -> None:
    """Two runs ended with the same weights, average, optimiser and schedule."""
    first, second = (read_checkpoint(root / "last.ckpt") for root in (a, b))
    for key in ("global_step", "epoch", "state_dict", "optimizer_states", "lr_schedulers"):
        assert_equal_to_the_bit(first[key], second[key], key)
