"""A model of latents: images in, images out, and the autoencoder no part of it but by name."""

import shutil
from functools import partial

import pytest
import torch

import lightning_nsd
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.errors import UserError
from lightning_nsd.latents import DiffusersAutoencoder
from lightning_nsd.model.spatial_context import SpatialContext
from tests.conftest import make_model, randomized
from tests.latents.make_autoencoder import make_autoencoder
from tests.latents.make_model import latent_model
from tests.training.conftest import run


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    copy = root / "autoencoder"
    shutil.copytree(folder, copy)
    run(root, 1, latent_model(DiffusersAutoencoder(str(copy))))
    return root


@pytest.mark.parametrize("encoder_input", ["latents", "images"])
def test_images_go_in_and_images_come_out_of_decoded_latents(autoencoder, encoder_input, randn, monkeypatch):
    module = latent_model(autoencoder, encoder_input=encoder_input).eval()
    randomized(module.ema)
    latents = []
    decode = autoencoder.decode
    monkeypatch.setattr(autoencoder, "decode", lambda drawn: latents.append(drawn) or decode(drawn))
    support = randn(2, 3, 3, 8, 8).float().clamp(-1, 1)
    images = module.sample(support, 2, torch.Generator().manual_seed(0), DDIM(2))
    assert images.shape == (2, 2, 3, 8, 8)
    (drawn,) = latents
    assert drawn.shape == (4, 2, 2, 2)
    torch.testing.assert_close(images, decode(drawn).clamp(-1, 1).unflatten(0, (2, 2)))
    assert drawn.abs().max() > 1  # latents have no bounds to be clipped to
    other = module.sample(-support, 2, torch.Generator().manual_seed(0), DDIM(2))
    assert not torch.allclose(images, other)


def test_the_encoder_sees_what_it_is_told_to(autoencoder):
    sees_latents, sees_images = (
        latent_model(autoencoder, encoder_input=which).model.encoder for which in ("latents", "images")
    )
    widths = [encoder.state_dict()["patch_norm.weight"].numel() for encoder in (sees_latents, sees_images)]
    assert widths == [3 * 2 * 2 * 2, 3 * 3 * 2 * 2]  # shots, channels, patch


def test_its_weights_are_in_no_checkpoint_no_average_and_no_optimiser(trained, autoencoder):
    checkpoint = read_checkpoint(trained / "last.ckpt")
    pixels = sum(p.numel() for p in make_model().model.parameters())
    assert all(key.startswith(("model.", "ema.")) for key in checkpoint["state_dict"])
    assert not any("decoder" in key or "quant" in key for key in checkpoint["state_dict"])
    assert sum(value.numel() for value in checkpoint["state_dict"].values()) < 3 * pixels
    described = checkpoint["lightning_nsd"]["autoencoder"]
    assert described["init_args"] == {
        "path": str(trained / "autoencoder"), "subfolder": "", "hash": autoencoder.hash
    }  # fmt: skip


def test_a_checkpoint_finds_its_autoencoder_or_is_told_where_it_is(trained, tmp_path, randn):
    support = randn(1, 3, 3, 8, 8).float().clamp(-1, 1)

    def draw(**where):
        module = lightning_nsd.load(trained / "last.ckpt", **where)
        return module.sample(support, 1, torch.Generator().manual_seed(0), DDIM(2))

    here = draw()
    moved = tmp_path / "moved"
    shutil.move(trained / "autoencoder", moved)
    try:
        with pytest.raises(UserError, match=r"(?s)there is no folder.*--autoencoder"):
            draw()
        torch.testing.assert_close(draw(autoencoder=moved), here, rtol=0, atol=0)
        with pytest.raises(UserError, match="another than the one that the model was trained with"):
            draw(autoencoder=make_autoencoder(tmp_path / "other", seed=1))
    finally:
        shutil.move(moved, trained / "autoencoder")


def test_a_run_does_not_go_on_with_another_autoencoder_and_does_from_another_place(trained, folder, tmp_path):
    other = DiffusersAutoencoder(str(make_autoencoder(tmp_path / "other", seed=1)))
    with pytest.raises(UserError, match=r"autoencoder\.init_args\.hash"):
        run(tmp_path / "a", 2, latent_model(other), ckpt_path=trained / "last.ckpt")
    with pytest.raises(UserError, match=r"model\.autoencoder"):
        run(tmp_path / "b", 2, make_model(), ckpt_path=trained / "last.ckpt")
    elsewhere = latent_model(DiffusersAutoencoder(str(folder)))
    run(tmp_path / "c", 2, elsewhere, ckpt_path=trained / "last.ckpt")
    assert read_checkpoint(tmp_path / "c" / "last.ckpt")["global_step"] == 2


@pytest.mark.parametrize("encoder_input", ["latents", "images"])
def test_ilvr_holds_latents_to_those_of_the_examples_where_the_encoder_sees_them(autoencoder, encoder_input, randn):
    module = latent_model(autoencoder, encoder_input=encoder_input).eval()
    support, sampler = randn(1, 3, 3, 8, 8).float().clamp(-1, 1), DDIM(2, ilvr_factor=2)
    if encoder_input == "images":
        with pytest.raises(UserError, match="is shown others"):
            module.sample(support, 1, sampler=sampler)
    else:
        assert module.sample(support, 1, torch.Generator().manual_seed(0), sampler).shape == (1, 1, 3, 8, 8)


def test_a_factor_of_ilvr_has_to_divide_latents_and_not_images(autoencoder):
    with pytest.raises(UserError, match="must divide the 2 pixels"):
        latent_model(autoencoder, sampler=DDIM(2, ilvr_factor=4))


def test_an_autoencoder_is_not_named_for_a_model_without_one(tmp_path):
    run(tmp_path, 1, make_model())
    with pytest.raises(UserError, match="has no autoencoder"):
        lightning_nsd.load(tmp_path / "last.ckpt", autoencoder=tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"diffusion": GaussianDiffusion(50, variance="learned")}, "variance is learned"),
        ({"encoder_input": "images", "spatial_context": partial(SpatialContext, model_channels=4)}, "encoder_input"),
    ],
)
def test_settings_that_make_no_sense_among_latents_are_explained(autoencoder, settings, message):
    with pytest.raises(UserError, match=message):
        latent_model(autoencoder, **settings)
