"""Latents of the data are computed once, belong to the images of their batch, and change nothing of a training."""

import pytest
import torch
from lightning.pytorch import Callback

from lightning_nsd.callbacks.data_encodings import DataEncodings
from lightning_nsd.data.encoding_cache import encodings_on_host
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.latents import DiffusersAutoencoder
from tests.conftest import StripedData
from tests.latents.make_autoencoder import make_autoencoder
from tests.latents.make_model import latent_model
from tests.training.conftest import assert_same_end, run


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def data_with(autoencoder, **settings):
    data = StripedData(**settings)
    data.use_encodings("latents", encodings_on_host(autoencoder))
    return data


@pytest.mark.parametrize("horizontal_flip", [False, True])
@pytest.mark.parametrize("episode_symmetries", [False, True])
def test_they_are_those_of_the_images_that_a_batch_shows_however_they_are_turned(
    autoencoder, horizontal_flip, episode_symmetries
):
    data = data_with(autoencoder, horizontal_flip=horizontal_flip, episode_symmetries=episode_symmetries)
    for batch in (data.training_batch(3), data.evaluation_batch("val", 0)):
        expected = autoencoder.encode(to_unit_range(batch.images).flatten(0, 1)).unflatten(0, batch.images.shape[:2])
        torch.testing.assert_close(batch.latents, expected, rtol=1e-5, atol=1e-5)


def test_a_second_run_computes_none(autoencoder, monkeypatch):
    first = data_with(autoencoder).encodings("train")["latents"]
    monkeypatch.setattr(autoencoder, "encode", None)
    assert torch.equal(data_with(autoencoder).encodings("train")["latents"], first)
    with pytest.raises(TypeError):
        data_with(autoencoder).encodings("val")


def test_a_run_with_them_ends_as_one_that_encodes_every_batch(autoencoder, tmp_path, monkeypatch):
    one = run(tmp_path / "a", 3, latent_model(autoencoder), callbacks=[DataEncodings()])
    monkeypatch.setattr("lightning_nsd.callbacks.data_encodings._data_of", lambda *_: None)
    other = run(tmp_path / "b", 3, latent_model(autoencoder), callbacks=[DataEncodings()])
    for left, right in zip(one.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder_input", ["latents", "images"])
def test_a_run_that_was_stopped_ends_with_the_same_bits(autoencoder, tmp_path, encoder_input):
    def go(root, steps, **more):
        run(root, steps, latent_model(autoencoder, encoder_input=encoder_input), callbacks=[DataEncodings()], **more)

    go(tmp_path / "whole", 4)
    go(tmp_path / "parts", 2)
    go(tmp_path / "parts", 4, ckpt_path=tmp_path / "parts" / "last.ckpt")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def test_those_of_another_autoencoder_are_made_anew(autoencoder, tmp_path):
    data_with(autoencoder).encodings("val")
    other = DiffusersAutoencoder(str(make_autoencoder(tmp_path / "other", seed=1)))
    data = data_with(other)
    images = to_unit_range(data.image_set("val").images)
    torch.testing.assert_close(data.encodings("val")["latents"][0], other.encode(images), rtol=1e-5, atol=1e-5)


def test_all_are_made_before_the_first_step(autoencoder, tmp_path, monkeypatch):
    class NoMore(Callback):
        def on_train_start(self, trainer, pl_module):
            monkeypatch.setattr(autoencoder, "encode", None)

    evaluated = {"limit_val_batches": 1, "val_check_interval": 2}
    trainer = run(tmp_path, 2, latent_model(autoencoder), callbacks=[DataEncodings(), NoMore()], **evaluated)
    assert trainer.global_step == 2
