"""Two gloo processes train what one does with the whole batch, each with all weights or with its part of them.

Replicas of XLA's CPU device are threads of one process and stop in their first all-reduce, so what depends on the rank
is shown by processes on the plain CPU: episodes, noise, validation and files follow the same code.
"""

import csv
from pathlib import Path

import pytest
import torch

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.cli import main
from tests.cli.conftest import TINY, start
from tests.several import make_context, run_together

OPTIONS = [*TINY, "--trainer.val_check_interval=6", "--trainer.num_sanity_val_steps=0",
           "--data.eval_episodes=5", "--data.episode_symmetries=true", "--trainer.precision=64-true",
           "--model.denoiser.dropout=0.0", "--model.context_dropout=0.3", "--fid.when=never",
           "--model.lr_schedule.annealing=none",
           # AdamW and, in groups that do not follow the model's order, Muon
           "--model.optimizer=lightning_nsd.muon.MuonWithAdamW",
           # torch adds clip_grad_norm_'s 1e-6 to every process's part of a sharded norm: 5e-8 of a gradient
           "--trainer.gradient_clip_algorithm=value", "--trainer.gradient_clip_val=0.001"]  # fmt: skip
TWO = ["--data.batch_size=2", "--trainer.devices=2"]
DOUBLE = "--trainer.plugins=lightning.pytorch.plugins.DoublePrecision"  # Lightning offers fsdp2 no 64-true by its name


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One process with four episodes in a batch, and two with two each."""
    roots = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    assert main(arguments(roots[0], 6, "--data.batch_size=4")) == 0
    process = start(*arguments(roots[1], 6, *TWO, "--trainer.strategy=ddp"))
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert said.count("Checkpoint of step 6") == 1
    return roots


def arguments(root: Path, steps: int, *options: str) -> list[str]:
    return ["fit", *OPTIONS, f"--trainer.default_root_dir={root}", f"--trainer.max_steps={steps}", *options]


def assert_weights_of(root: Path, expected: Path, atol: float = 1e-12) -> None:
    one, two = (read_checkpoint(folder / "last.ckpt")["state_dict"] for folder in (expected, root))
    assert one.keys() == two.keys()
    for key, value in one.items():
        # A bias in front of a GroupNorm has no gradient but rounding, and AdamW makes steps of one size of any.
        torch.testing.assert_close(two[key], value, rtol=1e-9, atol=atol, msg=lambda m, key=key: f"{key}: {m}")
    assert any(value.dtype == torch.float64 for value in one.values())


def last_row(root: Path, column: str) -> float:
    with next(root.glob("logs/metrics.csv")).open() as file:
        return [float(row[column]) for row in csv.DictReader(file) if row.get(column)][-1]


def test_two_processes_end_with_the_weights_of_one(runs):
    assert_weights_of(runs[1], runs[0])


def test_a_run_goes_on_in_two_processes_with_their_parts_of_the_weights_and_in_one_again(runs, tmp_path):
    context, parts = (
        make_context(),
        ["--trainer.strategy=fsdp2", "--trainer.precision=null", DOUBLE, "--ckpt_path=last"],
    )
    for steps, options in ((2, ["--trainer.strategy=ddp"]), (4, parts)):
        ended = run_together(context, tmp_path, arguments(tmp_path, steps, *TWO, *options))
        assert ended.statuses == [0, 0], ended.all_said
        assert ended.all_said.count(f"Checkpoint of step {steps}") == 1
    assert main(arguments(tmp_path, 6, "--data.batch_size=4", "--ckpt_path=last")) == 0
    # Gradients near AdamW's epsilon, summed in another order: 1e-8 of a step.
    assert_weights_of(tmp_path, runs[0], atol=1e-10)
    assert last_row(tmp_path, "val/loss") == pytest.approx(last_row(runs[0], "val/loss"), rel=1e-9)


def test_the_validation_loss_counts_every_episode_once(runs):
    one, two = (last_row(root, "val/loss") for root in runs)
    assert two == pytest.approx(one, rel=1e-9)


def test_only_the_first_process_writes(runs):
    files = [sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) for root in runs]
    assert files[0] == files[1]
