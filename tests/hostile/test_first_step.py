"""What Weights & Biases or an optimiser raises in a real run before its first step is one sentence too."""

from pathlib import Path

import pytest

from tests.cli.conftest import TINY
from tests.hostile.answer import Answer, assert_refused
from tests.hostile.forking import Request, endings

SHORT = [*TINY, "--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0",
         "--trainer.default_root_dir=run"]  # fmt: skip


WANDB = {
    "no key": ({"WANDB_MODE": ""}, "wandb login"),
    "an unknown mode": ({"WANDB_MODE": "nonsense"}, "offline"),
    "a short key": ({"WANDB_MODE": "", "WANDB_API_KEY": "short"}, "wandb login"),
}


def test_wandb_without_what_it_needs_says_how_to_go_on(tmp_path, campaign):
    """Each in a process of its own: a session of W&B takes no notice of a later environment."""
    requests, cases = [], {name: case for name, case in WANDB.items() if campaign > 1 or name == "no key"}
    for name, (environment, _) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        home = {"HOME": str(folder), "WANDB_API_KEY": "", **environment}  # where a key would be kept
        requests.append(Request(["fit", *SHORT, "--config=wandb.yaml"], str(folder), environment=home))
    for request, (_, words), ending in zip(requests, cases.values(), endings(requests), strict=True):
        assert_refused(Answer(ending.status, ending.said), "W&B", words)
        assert not (Path(request.folder) / "run" / "last.ckpt").exists()


@pytest.mark.parametrize("name", ["LBFGS", "SparseAdam", "Muon"])
def test_an_optimiser_that_does_not_fit_is_named(name, answer, tmp_path):
    found = answer("fit", *SHORT, f"--model.optimizer=torch.optim.{name}", "--model.optimizer.lr=0.01")
    assert_refused(found, "model.optimizer")
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_more_steps_between_evaluations_than_an_epoch_has_is_named(answer, tmp_path):
    options = ["--trainer.val_check_interval=50", "--trainer.check_val_every_n_epoch=1", "--data.episodes_per_epoch=4"]
    found = answer("fit", *TINY, "--trainer.default_root_dir=run", "--trainer.callbacks=[]", *options)
    assert_refused(found, "trainer.val_check_interval: ", "check_val_every_n_epoch")
    assert not (tmp_path / "run" / "last.ckpt").exists()
