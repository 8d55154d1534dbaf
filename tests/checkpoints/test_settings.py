"""A default that was written out and one that was left out are the same model."""

import inspect
import json
from functools import partial

import numpy as np
import pytest
import torch

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.checkpoints.same_model import check_same
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS, class_name, settings_from_bytes
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM, SAMPLERS, Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.model import (
    DeterministicContext,
    DiT,
    FeatureEncoder,
    SetViT,
    SpatialContext,
    UNet,
    UNetEncoder,
    VariationalContext,
    ViT,
)
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.training.lr_schedule import LRSchedule
from tests.conftest import make_model, tiny_dit, tiny_set_vit
from tests.training.conftest import run

PARTS = [
    *(("encoder", encoder) for encoder in (SetViT, ViT, UNetEncoder, FeatureEncoder)),
    *(("context", context) for context in (DeterministicContext, VariationalContext)),
    *(("denoiser", denoiser) for denoiser in (DiT, UNet)),
    ("spatial_context", SpatialContext),
]
VALUES = [("sampler", sampler) for sampler in SAMPLERS.values()]
VALUES += [("diffusion", GaussianDiffusion), ("lr_schedule", LRSchedule)]


def defaults(of):
    """All arguments of a class that have a default."""
    parameters = inspect.signature(of).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def make(**settings):
    """A model of any size that takes no memory."""
    with torch.device("meta"):
        return FewShotDiffusion(16, 1, 3, **{"denoiser": UNet, "encoder": UNetEncoder, **settings})


def load_into(model, other):
    """What a resume does with the settings and the weights of another model."""
    content = {HYPERPARAMETERS: other.hyperparameters, "state_dict": other.state_dict(), "global_step": 0}
    model.on_load_checkpoint(content)


def assert_same_model(a, b):
    """Their settings are the same text, and each can be loaded into the other."""
    assert json.dumps(a.hyperparameters) == json.dumps(b.hyperparameters)
    load_into(a, b)
    load_into(b, a)


@pytest.mark.parametrize(("part", "of"), PARTS, ids=lambda value: getattr(value, "__name__", value))
def test_every_default_of_a_part_may_be_written_out(part, of):
    assert_same_model(make(**{part: of}), make(**{part: partial(of, **defaults(of))}))


@pytest.mark.parametrize(("part", "of"), VALUES, ids=lambda value: getattr(value, "__name__", value))
def test_every_default_of_sampler_diffusion_and_schedule_may_be_written_out(part, of):
    assert_same_model(make(**{part: of()}), make(**{part: of(**defaults(of))}))


def test_every_default_of_the_model_may_be_written_out():
    assert_same_model(make(), make(**{**defaults(FewShotDiffusion), "encoder": UNetEncoder}))
    assert_same_model(make(), make(sampler=DDIM()))
    without = {"encoder": None, "denoiser": partial(UNet, conditioning="none")}
    assert_same_model(make(**without), make(context=VariationalContext, **without))


@pytest.mark.parametrize("encoder", [SetViT, ViT])
def test_a_width_that_follows_from_another_may_be_written_out(encoder):
    of = partial(encoder, context_dim=64)
    assert_same_model(make(encoder=of), make(encoder=partial(of, hidden_size=64, mlp_dim=64)))
    assert_same_model(make(encoder=partial(of, hidden_size=32)), make(encoder=partial(of, hidden_size=32, mlp_dim=32)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"denoiser": partial(DiT, mlp_ratio=4, dropout=0)}, {"denoiser": partial(DiT, mlp_ratio=4.0, dropout=0.0)}),
        ({"encoder": partial(UNetEncoder, attention_resolutions=(8,))},
         {"encoder": partial(UNetEncoder, attention_resolutions=[8])}),
        ({"encoder": partial(ViT, depth=np.int64(2))}, {"encoder": partial(ViT, depth=2)}),
        ({"context_dropout": 0, "kl_weight": 1}, {"context_dropout": 0.0, "kl_weight": 1.0}),
        ({"sampler": DDIM(eta=1, guidance=1)}, {"sampler": DDIM(eta=1.0, guidance=1.0)}),
    ],
)  # fmt: skip
def test_a_number_or_a_list_may_be_written_in_another_form(one, other):
    assert_same_model(make(**one), make(**other))


class Own(UNetEncoder):
    """An encoder of a user's, whose arguments have no types."""

    def __init__(self, image_size, channels, n_shot, width=16):
        super().__init__(image_size, channels, n_shot, context_dim=width)


def test_defaults_of_a_users_own_class_may_be_written_out_or_be_missing_in_a_file():
    own = make(encoder=Own)
    assert_same_model(own, make(encoder=partial(Own, width=16)))
    check_same({**own.hyperparameters, "encoder": {"class_path": class_name(Own)}}, own)


def test_another_value_is_another_model():
    with pytest.raises(UserError, match=r"model\.denoiser\.init_args\.num_res_blocks: 1 in the checkpoint, 2 in the"):
        load_into(make(), make(denoiser=partial(UNet, num_res_blocks=1)))


@pytest.mark.parametrize("sampler", [None, DDIM()], ids=["null", "written out"])
def test_each_resumes_from_the_checkpoint_of_the_other(sampler: Sampler | None, tmp_path):
    written = {
        part: partial(of, **{**defaults(of.func), **of.keywords})
        for part, of in (("encoder", tiny_set_vit), ("denoiser", tiny_dit))
    }
    models = [
        lambda: make_model(sampler=sampler, diffusion=GaussianDiffusion()),
        lambda: make_model(
            **written, context=DeterministicContext, diffusion=GaussianDiffusion(**defaults(GaussianDiffusion))
        ),
    ]
    last = tmp_path / "last.ckpt"
    for step, model in enumerate([*models, *models], start=1):
        run(tmp_path, step, model(), ckpt_path=last if step > 1 else None)
        assert read_checkpoint(last)["global_step"] == step


def test_settings_that_are_kept_as_bytes_are_read_or_refused():
    kept = np.frombuffer(b'{"n_shot": 5}', np.uint8)
    assert settings_from_bytes(kept, "a") == {"n_shot": 5}
    for wrong, said in ((kept.astype(float), "no text in bytes"), ({}, "no text in bytes"), (kept[:-1], "no JSON")):
        with pytest.raises(UserError, match=f"^a: its settings .*{said}"):
            settings_from_bytes(wrong, "a")
