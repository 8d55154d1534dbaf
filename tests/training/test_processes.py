"""Two gloo processes train what one does with the whole batch, and only the first writes.

Replicas of XLA's CPU device are threads of one process and stop in their first all-reduce, so what depends on the rank
is shown by processes on the plain CPU: episodes, noise, validation and files follow the same code.
"""

import csv
from pathlib import Path

import pytest
import torch

from lightning_nsd.checkpoints.io import read_checkpoint
from tests.cli.conftest import TINY, start

OPTIONS = [*TINY, "--trainer.max_steps=6", "--trainer.val_check_interval=6", "--trainer.num_sanity_val_steps=0",
           "--data.eval_episodes=5", "--data.episode_symmetries=true", "--trainer.precision=64-true",
           "--model.denoiser.dropout=0.0", "--model.context_dropout=0.3", "--fid.when=never"]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One process with four episodes in a batch, and two with two each."""
    roots = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for root, batch, options in (
        (roots[0], 4, []),
        (roots[1], 2, ["--trainer.devices=2", "--trainer.strategy=ddp"]),
    ):
        process = start("fit", *OPTIONS, f"--data.batch_size={batch}", f"--trainer.default_root_dir={root}", *options)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert said.count("Checkpoint of step 6") == 1
    return roots


def last_row(root: Path, column: str) -> float:
    with next(root.glob("logs/metrics.csv")).open() as file:
        return [float(row[column]) for row in csv.DictReader(file) if row.get(column)][-1]


def test_two_processes_end_with_the_weights_of_one(runs):
    one, two = (read_checkpoint(root / "last.ckpt")["state_dict"] for root in runs)
    assert one.keys() == two.keys()
    for key, value in one.items():
        # A bias in front of a GroupNorm has no gradient but rounding.
        torch.testing.assert_close(two[key], value, rtol=1e-9, atol=1e-12, msg=lambda m, key=key: f"{key}: {m}")
    assert any(value.dtype == torch.float64 for value in one.values())


def test_the_validation_loss_counts_every_episode_once(runs):
    one, two = (last_row(root, "val/loss") for root in runs)
    assert two == pytest.approx(one, rel=1e-9)


def test_only_the_first_process_writes(runs):
    files = [sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) for root in runs]
    assert files[0] == files[1]
