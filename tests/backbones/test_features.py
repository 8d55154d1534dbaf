"""A model that sees features: they are made once, belong to the images of their batch, and the network is no part."""

import shutil
from functools import partial

import pytest
import torch

import lightning_nsd
from lightning_nsd.callbacks.data_encodings import DataEncodings
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.data.encoding_cache import encodings_on_host
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.errors import UserError
from lightning_nsd.model.feature_encoder import FeatureEncoder
from lightning_nsd.model.spatial_context import SpatialContext
from tests.backbones.conftest import vit
from tests.backbones.make_vit import make_vit
from tests.conftest import StripedData, make_model, randomized, tiny_dit
from tests.training.conftest import assert_same_end, run


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def feature_model(backbone, **settings):
    encoder = partial(FeatureEncoder, context_dim=16, mlp_head_dim=8)
    return make_model(
        **{"ema_decay": 0.9, "context_dropout": 0.2, "encoder": encoder, "backbone": backbone, **settings}
    )


@pytest.fixture(scope="module")
def trained(weights, tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    shutil.copy(weights, root / "vit.safetensors")
    run(root, 1, feature_model(vit(root / "vit.safetensors")))
    return root


def test_they_are_those_of_the_images_that_a_batch_shows_however_they_are_turned(backbone):
    data = StripedData(horizontal_flip=True, episode_symmetries=True)
    data.use_encodings("features", encodings_on_host(backbone))
    for batch in (data.training_batch(3), data.evaluation_batch("val", 0)):
        expected = backbone.encode(to_unit_range(batch.images).flatten(0, 1)).unflatten(0, batch.images.shape[:2])
        torch.testing.assert_close(batch.features, expected, rtol=1e-5, atol=1e-5)
        assert batch.latents is None


def test_images_are_encoded_in_batches_of_the_size_that_they_are_resized_to(weights, monkeypatch):
    monkeypatch.setattr("lightning_nsd.data.encoding_cache.PIXELS_AT_ONCE", 30 * 16**2)
    backbone, sizes = vit(weights, img_size=16), []
    encode = backbone.encode
    monkeypatch.setattr(backbone, "encode", lambda images: sizes.append(len(images)) or encode(images))
    data = StripedData()
    features = encodings_on_host(backbone)(data.image_set("val").images, "val")
    assert sizes == [30, 30, 20]
    assert features.shape == (80, 8, 1, 1)


def test_a_second_run_computes_none_and_ends_as_one_that_encodes_every_batch(weights, tmp_path, monkeypatch):
    one = run(tmp_path / "a", 3, feature_model(vit(weights)), callbacks=[DataEncodings()])
    computed = vit(weights)
    monkeypatch.setattr(computed, "encode", None)
    again = run(tmp_path / "b", 3, feature_model(computed), callbacks=[DataEncodings()])
    anew = run(tmp_path / "c", 3, feature_model(vit(weights)))
    for left, same, right in zip(*(each.model.parameters() for each in (one, again, anew)), strict=True):
        assert torch.equal(left, same)
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


def test_a_run_that_was_stopped_ends_with_the_same_bits(weights, tmp_path):
    def go(root, steps, **more):
        run(root, steps, feature_model(vit(weights)), callbacks=[DataEncodings()], **more)

    go(tmp_path / "whole", 4)
    go(tmp_path / "parts", 2)
    go(tmp_path / "parts", 4, ckpt_path=tmp_path / "parts" / "last.ckpt")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("tokens", ["cls", "none"])
def test_new_images_depend_on_the_features_of_the_support_set_alone(weights, tokens, randn, monkeypatch):
    backbone = vit(weights, tokens=tokens)
    module = feature_model(backbone, encoder=partial(FeatureEncoder, pool="mean_patch"),
                           denoiser=partial(tiny_dit, conditioning="cross_attention")).eval()  # fmt: skip
    randomized(module.ema)
    support = randn(2, 5, 3, 8, 8).float().clamp(-1, 1)  # five images, whatever n_shot is

    def draw(images):
        return module.sample(images, 2, torch.Generator().manual_seed(0), DDIM(2))

    images = draw(support)
    assert images.shape == (2, 2, 3, 8, 8)
    assert not torch.allclose(images, draw(-support))
    features = backbone.encode(support.flatten(0, 1))
    monkeypatch.setattr(backbone, "encode", lambda _: features)
    assert torch.equal(images, draw(-support))


def test_its_weights_are_in_no_checkpoint_no_average_and_no_optimiser(trained, weights):
    checkpoint = read_checkpoint(trained / "last.ckpt")
    assert all(key.startswith(("model.", "ema.")) for key in checkpoint["state_dict"])
    heads = [key for key in checkpoint["state_dict"] if key.startswith("model.encoder.")]
    assert heads == [f"model.encoder.head.{n}.{kind}" for n in range(3) for kind in ("weight", "bias")]
    described = checkpoint["lightning_nsd"]["backbone"]
    assert described["class_path"].endswith(".PretrainedViT")
    assert described["init_args"]["hash"] == vit(weights).hash


def test_a_checkpoint_finds_its_weights_or_is_told_where_they_are(trained, tmp_path, randn):
    support = randn(1, 3, 3, 8, 8).float().clamp(-1, 1)

    def draw(**where):
        module = lightning_nsd.load(trained / "last.ckpt", **where)
        return module.sample(support, 1, torch.Generator().manual_seed(0), DDIM(2))

    here = draw()
    moved = shutil.move(trained / "vit.safetensors", tmp_path / "moved.safetensors")
    try:
        with pytest.raises(UserError, match=r"(?s)vit\.safetensors cannot be read.*--backbone"):
            draw()
        torch.testing.assert_close(draw(backbone=moved), here, rtol=0, atol=0)
        with pytest.raises(UserError, match="another than the one that the model was trained with"):
            draw(backbone=make_vit(tmp_path / "other.safetensors", seed=1))
    finally:
        shutil.move(moved, trained / "vit.safetensors")


def test_a_run_does_not_go_on_with_other_weights_and_does_from_another_place(trained, weights, tmp_path):
    other = vit(make_vit(tmp_path / "other.safetensors", seed=1))
    with pytest.raises(UserError, match=r"backbone\.init_args\.hash"):
        run(tmp_path / "a", 2, feature_model(other), ckpt_path=trained / "last.ckpt")
    run(tmp_path / "c", 2, feature_model(vit(weights)), ckpt_path=trained / "last.ckpt")
    assert read_checkpoint(tmp_path / "c" / "last.ckpt")["global_step"] == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": None, "denoiser": partial(tiny_dit, conditioning="none")}, r"model\.backbone .* there is none"),
        ({"spatial_context": partial(SpatialContext, model_channels=4)}, r"spatial_context .* model\.backbone"),
    ],
)
def test_what_contradicts_a_backbone_is_explained(backbone, settings, message):
    with pytest.raises(UserError, match=message):
        feature_model(backbone, **settings)
