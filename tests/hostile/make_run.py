"""A small run, and which step a checkpoint of it is of."""

from pathlib import Path

from lightning_nsd.checkpoints.io import read_checkpoint
from tests.cli.conftest import TINY

RUN = [*TINY, "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0", "--fid.when=never",
       "--checkpoint.every_n_train_steps=2", "--model.lr_schedule.annealing=none"]  # fmt: skip


def step_of(path: Path) -> int:
    """Optimiser steps of a checkpoint."""
    return read_checkpoint(path)["global_step"]
