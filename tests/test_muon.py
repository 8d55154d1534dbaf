"""Muon for hidden matrices, AdamW for the rest."""

from functools import partial

import pytest
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.optim import AdamW, Muon

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.errors import UserError
from lightning_nsd.muon import MuonWithAdamW, newton_schulz
from lightning_nsd.optimizer import make_optimizer
from lightning_nsd.training.groups import matrix_groups
from tests.conftest import make_model, tiny_set_vit
from tests.training.conftest import assert_same_end, run

SETTINGS = {"lr": 0.01, "weight_decay": 0.1}


def parameter(randn, *shape):
    made = nn.Parameter(randn(*shape))
    made.grad = randn(*shape)
    return made


def twin(original):
    made = nn.Parameter(original.detach().clone())
    made.grad = original.grad.clone()
    return made


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (6, 6)])
def test_an_orthogonalised_matrix_keeps_its_directions_and_has_singular_values_near_one(shape, randn):
    matrix = randn(*shape)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    values = u.T @ newton_schulz(matrix) @ v.T
    assert values.diagonal().min() > 0.5 and values.diagonal().max() < 1.3
    assert (values - values.diagonal().diag()).abs().max() < 1e-4


def test_no_gradient_is_no_update():
    assert not newton_schulz(torch.zeros(3, 4)).any()


def test_a_matrix_moves_as_torchs_muon_moves_it_but_for_its_rounding_to_bfloat16(randn):
    ours = parameter(randn, 12, 30)
    theirs = twin(ours)
    start = ours.detach().clone()
    own = MuonWithAdamW([{"params": [ours], "use_muon": True}], **SETTINGS)
    others = Muon([theirs], momentum=0.95, adjust_lr_fn="match_rms_adamw", **SETTINGS)
    for _ in range(3):
        own.step()
        others.step()
    assert (ours - theirs).norm() < 0.02 * (theirs - start).norm()


def test_a_kernel_moves_as_the_matrix_of_its_outputs(randn):
    kernel = parameter(randn, 6, 4, 3, 3)
    matrix = nn.Parameter(kernel.detach().flatten(1).clone())
    matrix.grad = kernel.grad.flatten(1)
    for each in (kernel, matrix):
        MuonWithAdamW([{"params": [each], "use_muon": True}], **SETTINGS).step()
    assert torch.equal(kernel.flatten(1), matrix)


def test_what_uses_no_muon_moves_as_adamw_moves_it(randn):
    ours = [parameter(randn, 5), parameter(randn, 3, 4)]
    theirs = [twin(each) for each in ours]
    settings = {**SETTINGS, "betas": (0.8, 0.9)}
    for optimizer in (MuonWithAdamW(ours, **settings), AdamW(theirs, **settings)):
        for _ in range(3):
            optimizer.step()
    for own, other in zip(ours, theirs, strict=True):
        assert torch.equal(own, other)


def test_hidden_matrices_use_muon_and_ends_vectors_and_tables_do_not():
    model = make_model(context_dropout=0.1).model
    names = {id(p): name for name, p in model.named_parameters()}
    groups = matrix_groups(model, 1e-3, None)
    hidden = {names[id(p)] for group in groups if group["use_muon"] for p in group["params"]}
    others = {names[id(p)] for group in groups if not group["use_muon"] for p in group["params"]}
    assert hidden | others == set(names.values()) and not hidden & others
    assert "denoiser.blocks.0.attention.to_qkv.weight" in hidden
    ends = {
        "denoiser.patch_embedding.weight",
        "denoiser.final.linear.weight",
        "denoiser.time_embedding.linear_1.weight",
    }
    assert others > ends | {"null_context", "encoder.cls_token", "denoiser.blocks.0.attention.to_qkv.bias"}
    assert {(group["part"], group.get("lr")) for group in groups} == {("encoder", 1e-3), ("denoiser", None)}


def test_what_sees_the_time_is_no_hidden_matrix():
    model = make_model(encoder=partial(tiny_set_vit, time_conditioned=True)).model
    muon = [p for group in matrix_groups(model, None, None) if group["use_muon"] for p in group["params"]]
    assert not any(p is model.encoder.time_token.weight for p in muon)


def test_learning_rates_of_all_groups_can_be_watched(tmp_path):
    watch = LearningRateMonitor()
    run(
        tmp_path,
        2,
        make_model(optimizer=partial(MuonWithAdamW, lr=1e-2)),
        callbacks=[watch],
        logger=CSVLogger(tmp_path),
    )
    parts = ("encoder", "denoiser")
    assert set(watch.lrs) == {f"lr-MuonWithAdamW/{part}{which}" for part in parts for which in ("", " matrices")}


def test_a_run_with_muon_that_was_stopped_ends_as_one_that_was_not(tmp_path):
    model = partial(make_model, optimizer=partial(MuonWithAdamW, lr=1e-2), ema_decay=0.9, context_dropout=0.2)
    run(tmp_path / "whole", 5, model())
    run(tmp_path / "parts", 2, model())
    run(tmp_path / "parts", 5, model(), ckpt_path=tmp_path / "parts" / "last.ckpt")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")
    states = read_checkpoint(tmp_path / "parts" / "last.ckpt")["optimizer_states"][0]["state"].values()
    assert {tuple(state) for state in states} == {("momentum_buffer",), ("step", "exp_avg", "exp_avg_sq")}


@pytest.mark.parametrize("kinds", [(AdamW, MuonWithAdamW), (MuonWithAdamW, AdamW)])
def test_muon_does_not_go_on_from_adamw_nor_adamw_from_muon(kinds, tmp_path):
    first, second = (make_model(optimizer=partial(kind, lr=1e-2)) for kind in kinds)
    run(tmp_path, 1, first)
    with pytest.raises(UserError, match=f"is not the configured {kinds[1].__name__}"):
        run(tmp_path, 2, second, ckpt_path=tmp_path / "last.ckpt")


@pytest.mark.parametrize("wrong", [{"momentum": 1.0}, {"momentum": -0.1}, {"betas": (0.9, 1.0)}, {"eps": -1.0}])
def test_impossible_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_optimizer(partial(MuonWithAdamW, **wrong), make_model().model, None, None)
