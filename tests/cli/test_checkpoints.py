"""What a checkpoint can be used for beside going on with its run: weights alone, and other numbers of shots."""

import pytest
import torch

import lightning_nsd
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.checkpoints.same_model import check_same
from lightning_nsd.errors import UserError
from tests.conftest import make_model
from tests.hostile.make_checkpoint import FIT, make


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        make(root)
    return root


@pytest.fixture
def weights_alone(run, nsd, tmp_path):
    """A checkpoint by way of safetensors."""
    for source, target in ((run / "last.ckpt", "a.safetensors"), ("a.safetensors", "a.ckpt")):
        assert nsd("convert", "--input", source, "--output", target)[0] == 0
    return tmp_path / "a.ckpt"


def test_a_checkpoint_of_weights_alone_validates(weights_alone, nsd):
    status, said = nsd("validate", *FIT, "--trainer.limit_val_batches=1", "--ckpt_path", weights_alone)
    assert status == 0, said
    assert "val/loss" in said


@pytest.mark.parametrize("older", [False, True], ids=["", "as older versions wrote it"])
def test_training_from_weights_alone_starts_with_a_fresh_optimiser_and_says_so(
    weights_alone, nsd, caplog, tmp_path, older
):
    caplog.set_level("INFO")
    if older:
        content = read_checkpoint(weights_alone)
        kept = ("state_dict", "global_step", "epoch", "lightning_nsd")
        torch.save({key: content[key] for key in kept}, weights_alone)
    options = ["--trainer.max_steps=1", "--model.optimizer.lr=0", "--trainer.default_root_dir=new"]
    status, said = nsd("fit", *FIT, *options, "--ckpt_path", weights_alone)
    assert status == 0, said
    assert caplog.text.count("holds weights and no optimiser: training starts from its weights at step 0") == 1
    before, after = read_checkpoint(weights_alone), read_checkpoint(tmp_path / "new" / "last.ckpt")
    assert (before["global_step"], after["global_step"]) == (2, 1)
    for key, value in before["state_dict"].items():
        if key.startswith("model."):
            assert torch.equal(value, after["state_dict"][key]), key
    assert {float(state["step"]) for state in after["optimizer_states"][0]["state"].values()} == {1.0}


def test_quality_against_the_number_of_shots_can_be_measured(run, nsd):
    checkpoint = run / "last.ckpt"
    for n_shot in (1, 5):
        status, said = nsd("validate", *FIT, "--trainer.limit_val_batches=1", f"--data.n_shot={n_shot}",
                           "--ckpt_path", checkpoint)  # fmt: skip
        assert status == 0, said
        status, said = nsd("evaluate", "--ckpt_path", checkpoint, "--n_shot", n_shot, "--out", f"shots_{n_shot}",
                           "--classes=2", "--num_samples=4")  # fmt: skip
        assert status == 0, said
    status, said = nsd("fit", *FIT, "--data.n_shot=2", "--trainer.max_steps=3", "--ckpt_path", checkpoint,
                       "--trainer.default_root_dir=other")  # fmt: skip
    assert status == 0, said


def test_an_encoder_of_sets_of_one_size_refuses_another(tmp_path):
    model = make_model()  # SetViT
    with pytest.raises(UserError, match="SetViT was trained for 3 images a set, and 5 are asked for"):
        model.use_set_size(5)
    other = {**model.hyperparameters, "n_shot": 5}
    with pytest.raises(UserError, match=r"model\.n_shot: 5 in the checkpoint, 3 in the configuration"):
        check_same(other, model)


def test_a_loaded_model_knows_the_steps_of_its_checkpoint(run):
    assert lightning_nsd.load(run / "last.ckpt").trained_steps == 2
