"""What Weights & Biases or an optimiser raises in a real run before its first step is one sentence too."""

import pytest

from tests.cli.conftest import TINY
from tests.hostile.answer import assert_refused

SHORT = [*TINY, "--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0",
         "--trainer.default_root_dir=run"]  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "words"),
    [({}, "wandb login"), ({"WANDB_MODE": "nonsense"}, "offline"), ({"WANDB_API_KEY": "short"}, "wandb login")],
)
def test_wandb_without_what_it_needs_says_how_to_go_on(environment, words, answer, tmp_path, monkeypatch):
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # where a key would be kept
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert_refused(answer("fit", *SHORT, "--config=wandb.yaml"), "W&B", words)
    assert not (tmp_path / "run" / "last.ckpt").exists()


@pytest.mark.parametrize("name", ["LBFGS", "SparseAdam", "Muon"])
def test_an_optimiser_that_does_not_fit_is_named(name, answer, tmp_path):
    found = answer("fit", *SHORT, f"--model.optimizer=torch.optim.{name}", "--model.optimizer.lr=0.01")
    assert_refused(found, "model.optimizer")
    assert not (tmp_path / "run" / "last.ckpt").exists()
