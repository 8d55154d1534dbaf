"""A ViT that is trained is a part of the network: it starts from its file, and a checkpoint does without."""

from functools import partial

import pytest
import torch

import lightning_nsd
from jax_reference.experiment import build_network
from lightning_nsd.backbones import PretrainedViT, TrainedViT
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.errors import UserError
from lightning_nsd.latents import DiffusersAutoencoder
from lightning_nsd.training.groups import matrix_groups
from tests.backbones.conftest import vit
from tests.backbones.make_vit import SIZES, VIT, make_vit
from tests.conftest import make_model, tiny_dit
from tests.latents.make_autoencoder import make_autoencoder
from tests.training.conftest import assert_same_end, run


def trained_vit(path, **settings):
    return partial(TrainedViT, name=VIT, path=str(path), context_dim=16, **{**SIZES, **settings})


def trained_model(path, **settings):
    return make_model(**{"encoder": trained_vit(path), "ema_decay": 0.9, **settings})


def test_it_starts_as_the_frozen_one_and_a_head_behind_it(weights, backbone: PretrainedViT, randn):
    model = trained_model(weights)
    images = randn(2, 3, 8, 8).float().clamp(-1, 1)
    for encoder in (model.model.encoder, model.ema.encoder):
        torch.testing.assert_close(encoder.vit(images), backbone.encode(images))
    features = backbone.encode(images)[:, :, 0, 0]
    torch.testing.assert_close(model.model.encoder.encode_images(images), model.model.encoder.head[0](features))


def test_it_is_held_and_then_trained_at_its_own_rate(weights, tmp_path):
    settings = {"freeze_encoder_steps": 2, "encoder_lr": 1e-2, "denoiser_lr": 1e-4}
    start = {key: value.clone() for key, value in trained_model(weights).model.state_dict().items()}

    def changed(steps):
        trainer = run(tmp_path / str(steps), steps, trained_model(weights, **settings))
        rates = {group["name"]: group["lr"] for group in trainer.optimizers[0].param_groups}
        assert rates == {"encoder": 1e-2, "denoiser": 1e-4}
        state = trainer.model.model.state_dict()
        return {key for key in start if not torch.equal(state[key], start[key])}

    held = changed(2)
    assert held and all(key.startswith("denoiser.") for key in held)
    assert {key for key in start if key.startswith("encoder.vit.")} <= changed(4)


def test_a_checkpoint_does_without_its_file_and_a_run_goes_on_to_the_same_bits(tmp_path, randn):
    weights = make_vit(tmp_path / "vit.safetensors")
    run(tmp_path / "whole", 4, trained_model(weights))
    run(tmp_path / "parts", 2, trained_model(weights))
    moved = weights.rename(tmp_path / "moved.safetensors")
    run(tmp_path / "parts", 4, trained_model(moved), ckpt_path=tmp_path / "parts" / "last.ckpt")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")
    module = lightning_nsd.load(tmp_path / "whole" / "last.ckpt")
    state = read_checkpoint(tmp_path / "whole" / "last.ckpt")["state_dict"]
    for key, value in module.model.state_dict().items():
        assert torch.equal(value, state[f"ema.{key}"])
    images = module.sample(randn(1, 2, 3, 8, 8).float(), 1, torch.Generator().manual_seed(0), DDIM(2))
    assert images.isfinite().all()


def test_tokens_of_every_patch_are_for_cross_attention(weights, randn):
    encoder = trained_vit(weights, tokens="none", pool="mean_patch")
    model = trained_model(weights, encoder=encoder, denoiser=partial(tiny_dit, conditioning="cross_attention"))
    context = model.contexts(randn(1, 4, 3, 8, 8).float())
    assert context.shape == (4, 4, 16)


def test_muon_leaves_what_sees_pixels_to_adamw(weights):
    model = trained_model(weights).model
    names = {id(p): name for name, p in model.named_parameters() if name.startswith("encoder.")}
    groups = matrix_groups(model, None, None)
    hidden = {names.get(id(p), "") for group in groups if group["use_muon"] for p in group["params"]}
    assert any("blocks.0.attn.qkv" in name for name in hidden)
    assert any("patch_embed" in name for name in names.values()) and not any("patch_embed" in name for name in hidden)


def test_it_has_no_counterpart_in_jax():
    described = {"class_path": "TrainedViT", "init_args": {"name": VIT}}
    settings = {"image_size": 8, "channels": 3, "n_shot": 2, "encoder": described, "denoiser": {"class_path": "DiT"}}
    with pytest.raises(UserError, match="TrainedViT has no counterpart here"):
        build_network(settings, None)


def test_what_it_cannot_see_is_explained(weights, tmp_path):
    with pytest.raises(UserError, match=r"is shown 8: .*choose FeatureEncoder"):
        trained_model(weights, backbone=vit(weights))
    with pytest.raises(UserError, match=r"is shown 2: .*encoder_input to images"):
        trained_model(weights, autoencoder=DiffusersAutoencoder(str(make_autoencoder(tmp_path / "autoencoder"))))
    with pytest.raises(UserError, match="There is no file nosuch"):
        trained_model("nosuch")
