"""Latents are those of diffusers' own, and another autoencoder is never taken for the one that was trained with."""

import json
import shutil

import pytest
import torch
from diffusers import AutoencoderKL

from lightning_nsd.errors import UserError
from lightning_nsd.latents import DiffusersAutoencoder
from tests.latents.make_autoencoder import FACTOR, make_autoencoder


@pytest.mark.smoke
def test_mean_deviation_and_images_are_those_of_diffusers_shifted_and_scaled(folder, autoencoder, randn):
    images = randn(3, 3, 8, 8).float().clamp(-1, 1)
    own = AutoencoderKL.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = own.encode(images).latent_dist
        decoded = own.decode(expected.mean).sample
    mean, std = autoencoder.encode(images).unbind(dim=1)
    torch.testing.assert_close(mean, (expected.mean - 0.1) * 0.5, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(std, expected.std * 0.5, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(autoencoder.decode(mean), decoded, rtol=1e-4, atol=1e-5)
    assert mean.shape == (3, autoencoder.latent_channels, 8 // FACTOR, 8 // FACTOR)


def test_it_is_frozen_and_answers_in_the_type_of_what_it_is_given(autoencoder, randn):
    images = randn(1, 3, 8, 8).requires_grad_()
    assert not autoencoder.encode(images).requires_grad
    assert autoencoder.encode(images).dtype == torch.float64
    assert autoencoder.decode(randn(1, 2, 2, 2)).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        exact = autoencoder.encode(images.float())
    torch.testing.assert_close(exact, autoencoder.encode(images.float()), rtol=0, atol=0)


def test_other_weights_than_those_of_the_hash_are_refused(folder, autoencoder, tmp_path):
    other = make_autoencoder(tmp_path / "other", seed=1)
    assert DiffusersAutoencoder(str(folder), hash=autoencoder.hash).hash == autoencoder.hash
    with pytest.raises(UserError, match=f"another than the one that the model was trained with.*{autoencoder.hash}"):
        DiffusersAutoencoder(str(other), hash=autoencoder.hash)


def test_another_scale_is_another_autoencoder_and_another_place_or_version_is_not(folder, autoencoder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "copy" / "config.json").write_text(json.dumps({**config, "_diffusers_version": "99"}))
    assert DiffusersAutoencoder(str(tmp_path / "copy")).hash == autoencoder.hash
    (tmp_path / "copy" / "config.json").write_text(json.dumps({**config, "scaling_factor": 0.7}))
    assert DiffusersAutoencoder(str(tmp_path / "copy")).hash != autoencoder.hash


def without_weights(folder):
    (folder / "diffusion_pytorch_model.safetensors").unlink()


def of_another_kind(folder):
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "_class_name": "UNet2DModel"}))


def without_json(folder):
    (folder / "config.json").write_text("{")


def with_channels(folder):
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "latent_channels": "four"}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_weights, r"no diffusion_pytorch_model\.safetensors in"),
        (of_another_kind, "is of UNet2DModel"),
        (without_json, "no configuration of an autoencoder"),
        (with_channels, "latent_channels is four"),
        (shutil.rmtree, "there is no folder"),
    ],
)
def test_files_that_are_missing_or_of_something_else_are_named(damage, message, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    damage(tmp_path / "copy")
    with pytest.raises(UserError, match=message):
        DiffusersAutoencoder(str(tmp_path / "copy"))


def test_weights_that_are_damaged_are_named_when_they_are_used(folder, tmp_path, randn):
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "diffusion_pytorch_model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"safetensors cannot be read as an AutoencoderKL"):
        DiffusersAutoencoder(str(tmp_path / "copy")).encode(randn(1, 3, 8, 8))


def test_a_name_that_the_hub_does_not_have_is_an_error(monkeypatch):
    def download(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(UserError, match=r"owner/name is no folder here.*OSError: no network"):
        DiffusersAutoencoder("owner/name")


def test_images_that_it_cannot_take_are_an_error(autoencoder):
    assert autoencoder.latent_size(16, 3) == 4
    with pytest.raises(UserError, match="3 channels, and those of the data have 1"):
        autoencoder.latent_size(16, 1)
    with pytest.raises(UserError, match=r"image_size is 10\. Choose a multiple of 4"):
        autoencoder.latent_size(10, 3)
