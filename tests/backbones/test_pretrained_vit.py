"""Features are those of timm's network, and another network's are never taken for those that were trained with."""

import pickle

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from lightning_nsd.backbones import PretrainedViT
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.errors import UserError
from tests.backbones.conftest import vit
from tests.backbones.make_vit import VIT, make_network, make_vit


@pytest.fixture
def images(randn):
    return randn(3, 3, 8, 8).float().clamp(-1, 1)


def normalised(images, mean=0.5, std=0.5):
    return ((images + 1) / 2 - mean) / std


@pytest.mark.smoke
def test_every_feature_is_of_the_tokens_that_timm_gives(weights, images):
    with torch.no_grad():
        tokens = make_network().forward_features(normalised(images))  # (3, 1 + 4, 8)
    expected = {"cls": tokens[:, 0, :, None, None], "mean": tokens[:, 1:].mean(dim=1)[:, :, None, None],
                "none": tokens[:, 1:].transpose(1, 2).reshape(3, 8, 2, 2)}  # fmt: skip
    for which, features in expected.items():
        backbone = vit(weights, tokens=which)
        torch.testing.assert_close(backbone.encode(images), features, rtol=1e-5, atol=1e-5)
        assert features.shape[1:] == backbone.encoding_shape(8) == (backbone.channels, backbone.size, backbone.size)


@pytest.mark.parametrize("kind", ["vit.safetensors", "vit.npz", "vit.pth"])
def test_a_file_of_any_kind_gives_the_same_network(kind, backbone, images, tmp_path):
    torch.testing.assert_close(vit(make_vit(tmp_path / kind)).encode(images), backbone.encode(images))


def test_it_is_frozen_and_answers_in_the_type_of_what_it_is_given(backbone, images):
    assert not backbone.encode(images.clone().requires_grad_()).requires_grad
    assert backbone.encode(images.double()).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        exact = backbone.encode(images)
    torch.testing.assert_close(exact, backbone.encode(images), rtol=0, atol=0)


def test_images_are_resized_as_timm_resizes_them(weights, monkeypatch):
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8), np.ones((5, 5, 1), np.uint8))
    seen = []
    backbone = vit(weights)
    monkeypatch.setattr(backbone._vit.network, "forward_features", lambda x: seen.append(x) or torch.zeros(1, 5, 8))
    backbone.encode(to_unit_range(torch.from_numpy(pixels).permute(2, 0, 1)[None]))
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(VIT).to_dict())
    transform = timm.data.create_transform(**{**config, "input_size": (3, 8, 8), "crop_pct": 1.0})
    (x,) = seen
    assert x.shape == (1, 3, 8, 8)
    torch.testing.assert_close(x[0], transform(Image.fromarray(pixels)), rtol=0, atol=2 / 127.5)  # theirs are bytes


def test_the_name_says_how_images_are_normalised(images, monkeypatch):
    backbone = vit(None, "deit_tiny_patch16_224")
    seen = []
    monkeypatch.setattr(backbone._vit.network, "forward_features", lambda x: seen.append(x) or torch.zeros(3, 5, 8))
    backbone.encode(images)
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (timm.data.IMAGENET_DEFAULT_MEAN, timm.data.IMAGENET_DEFAULT_STD)
    )
    torch.testing.assert_close(seen[0], normalised(images, mean, std))


def test_a_grey_image_is_one_of_three_equal_channels(backbone, images):
    grey = images[:, :1]
    torch.testing.assert_close(backbone.encode(grey), backbone.encode(grey.repeat(1, 3, 1, 1)), rtol=0, atol=0)


def test_positions_are_interpolated_for_another_size(weights, images):
    larger = vit(weights, img_size=16, tokens="none")
    assert larger.encode(images).shape == (3, 8, 4, 4)
    own, theirs = larger._vit.network.pos_embed, vit(weights)._vit.network.pos_embed
    assert own.shape == (1, 1 + 16, 8)
    torch.testing.assert_close(own[:, 0], theirs[:, 0])


def test_random_weights_are_those_of_their_seed_and_leave_torchs_own_numbers_alone(images):
    torch.manual_seed(0)
    first = vit(None, seed=3).encode(images)
    after = torch.rand(2)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(2))
    torch.testing.assert_close(vit(None, seed=3).encode(images), first, rtol=0, atol=0)
    assert not torch.allclose(vit(None, seed=4).encode(images), first)


def test_a_hash_is_of_all_that_features_depend_on(weights, backbone, tmp_path):
    others = [vit(make_vit(tmp_path / "other.safetensors", seed=1)), vit(weights, tokens="mean"), vit(None),
              vit(weights, img_size=12), vit(None, seed=1), vit(None, "deit_tiny_patch16_224")]  # fmt: skip
    assert len({each.hash for each in [backbone, *others]}) == 7
    assert vit(weights, hash=backbone.hash).hash == backbone.hash
    with pytest.raises(UserError, match=f"another than the one that the model was trained with.*{backbone.hash}"):
        vit(tmp_path / "other.safetensors", hash=backbone.hash)


class Run:
    """What a file would run, if it were let."""

    def __reduce__(self):
        return (pytest.fail, ("a file was executed",))


def damaged(path):
    path.write_bytes(b"damaged")


def of_another_width(path):
    save_file({key: value[..., :4].contiguous() for key, value in load_file(make_vit(path)).items()}, path)


def without_a_block(path):
    state = load_file(make_vit(path))
    save_file({key: value for key, value in state.items() if not key.startswith("blocks.1.")}, path)


def of_a_program(path):
    path.write_bytes(pickle.dumps({"cls_token": Run()}))


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [
        (damaged, "vit.safetensors", r"vit\.safetensors cannot be read as weights"),
        (damaged, "vit.npz", r"vit\.npz cannot be read as weights"),
        (of_another_width, "vit.safetensors", r"vit\.safetensors cannot be read as weights"),
        (without_a_block, "vit.safetensors", r"another network: 12 are missing or too many, such as blocks\.1"),
        (of_a_program, "vit.pth", r"vit\.pth cannot be read as weights"),
    ],
)  # fmt: skip
def test_a_file_that_is_damaged_or_of_something_else_is_named_when_it_is_used(write, name, message, images, tmp_path):
    write(tmp_path / name)
    backbone = vit(tmp_path / name)
    with pytest.raises(UserError, match=message):
        backbone.encode(images)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "nosuch"}, "timm has no network nosuch"),
        ({"name": "local-dir:/tmp"}, "timm has no network local-dir"),
        ({"name": "beit_base_patch16_224"}, "is a Beit and no Vision Transformer"),
        ({"name": "vit_base_patch16_siglip_224"}, "has no class token; choose tokens mean or none"),
        ({"name": VIT, "num_heads": 5}, "timm cannot build vit_tiny_patch16_224"),
        ({"name": VIT, "depth": 0}, r"model\.backbone\.depth is 0"),
        ({"name": VIT, "tokens": "max"}, r"model\.backbone\.tokens is 'max'; it must be one of cls, mean, none"),
        ({"name": VIT, "path": "nosuch.safetensors"}, r"nosuch\.safetensors cannot be read .*--backbone"),
    ],
)
def test_settings_that_make_no_sense_are_explained_at_once(settings, message):
    with pytest.raises(UserError, match=message):
        PretrainedViT(**settings)
