"""Set encoders: shapes, leave-one-out, and what each depends on."""

import itertools
from functools import partial

import pytest
import torch

from lightning_nsd.errors import UserError
from lightning_nsd.model.feature_encoder import FeatureEncoder
from lightning_nsd.model.set_encoder import leave_one_out
from lightning_nsd.model.set_vit import SetViT
from lightning_nsd.model.unet_encoder import UNetEncoder
from lightning_nsd.model.vit import ViT
from tests.conftest import randomized

ENCODERS = {
    **{f"SetViT-{pool}": partial(SetViT, patch_size=2, context_dim=12, depth=1, num_heads=2, head_dim=4, pool=pool)
       for pool in ("cls", "mean", "none")},
    **{f"ViT-{pool}": partial(ViT, patch_size=2, context_dim=12, depth=1, num_heads=2, head_dim=4, pool=pool)
       for pool in ("cls", "mean", "none", "mean_patch")},
    **{f"UNet-{pool}": partial(UNetEncoder, context_dim=12, model_channels=4, channel_multipliers=(1, 2), pool=pool)
       for pool in ("mean", "flatten", "mean_patch")},
    **{f"Features-{pool}": partial(FeatureEncoder, context_dim=12, mlp_head_dim=6, pool=pool)
       for pool in ("mean", "mean_patch")},
}  # fmt: skip
ANY_SHOTS = [name for name in ENCODERS if not name.startswith("SetViT")]
KNOW_THE_TIME = [name for name in ENCODERS if not name.startswith("Features")]


def make(name: str, **kwargs):
    return randomized(ENCODERS[name](8, 3, 3, **kwargs).double())


def test_leave_one_out_keeps_the_order_of_the_others():
    images = torch.arange(2.0 * 4).reshape(2, 4, 1, 1, 1)
    assert leave_one_out(images).flatten(1).tolist() == [
        [1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2],
        [5, 6, 7], [4, 6, 7], [4, 5, 7], [4, 5, 6],
    ]  # fmt: skip


@pytest.mark.parametrize("name", ENCODERS)
def test_the_context_has_the_announced_shape(name, randn):
    encoder = make(name)
    context = encoder(randn(2, 3, 3, 8, 8))
    assert tuple(context.shape) == (2, *encoder.context_shape(3))
    assert encoder.gives_tokens == (context.dim() == 3)


@pytest.mark.parametrize("name", ENCODERS)
def test_leave_one_out_contexts_equal_those_of_each_set_encoded_alone(name, randn):
    encoder, images = make(name), randn(2, 4, 3, 8, 8)
    contexts = encoder.encode_leave_one_out(images)
    for b, i in itertools.product(range(2), range(4)):
        others = images[b, [j for j in range(4) if j != i]]
        torch.testing.assert_close(contexts[b * 4 + i], encoder(others[None])[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_query_never_sees_itself(name, randn):
    encoder, images = make(name), randn(1, 4, 3, 8, 8)
    changed = images.clone()
    changed[0, 2] = -changed[0, 2]
    before, after = encoder.encode_leave_one_out(images), encoder.encode_leave_one_out(changed)
    torch.testing.assert_close(before[2], after[2], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(before[1], after[1])


@pytest.mark.parametrize("name", ANY_SHOTS)
def test_encoders_of_single_images_take_any_number_of_shots(name, randn):
    encoder = make(name)
    for n in (1, 2, 7):
        assert tuple(encoder(randn(1, n, 3, 8, 8)).shape) == (1, *encoder.context_shape(n))


@pytest.mark.parametrize(
    "name", ["UNet-mean", "UNet-flatten", "ViT-mean", "ViT-mean_patch", "ViT-cls", "Features-mean"]
)
def test_the_order_of_a_set_does_not_matter_to_pooled_encoders(name, randn):
    encoder, support = make(name), randn(1, 3, 3, 8, 8)
    torch.testing.assert_close(encoder(support), encoder(support.flip(1)), rtol=1e-10, atol=1e-12)


def test_set_vit_refuses_another_number_of_shots(randn):
    with pytest.raises(UserError, match=r"SetViT.*3.*4|SetViT.*4.*3"):
        make("SetViT-cls")(randn(1, 4, 3, 8, 8))


def test_mean_patch_averages_over_images_at_each_position():
    """With attention switched off a token depends on its own position in every image, and on no other."""
    encoder = make("ViT-mean_patch")
    for block in encoder.blocks:
        torch.nn.init.zeros_(block.attention.to_out.weight)
    support = torch.zeros(1, 3, 3, 8, 8, dtype=torch.float64)
    moved = support.clone()
    moved[0, 1, :, 2:4, 4:6] = 1.0  # row 1, column 2 of a 4 × 4 grid of patches
    changed = (encoder(support) != encoder(moved)).any(dim=2)[0].nonzero().flatten()
    assert changed.tolist() == [1 * 4 + 2]


@pytest.mark.parametrize("name", KNOW_THE_TIME)
def test_time_changes_the_context_only_where_it_is_asked_for(name, randn):
    support, t = randn(2, 3, 3, 8, 8), torch.tensor([3, 40])
    timed = make(name, time_conditioned=True)
    assert not torch.allclose(timed(support, t), timed(support, t + 5))
    with pytest.raises(ValueError, match="time-conditioned"):
        timed(support)
    plain = make(name)
    torch.testing.assert_close(plain(support, t), plain(support))


def test_flatten_keeps_where_things_are_and_mean_does_not(randn):
    image = torch.zeros(1, 1, 3, 8, 8, dtype=torch.float64)
    image[..., 3:5, 3:5] = 1.0
    moved = image.roll(2, dims=-1)
    mean, flat = make("UNet-mean"), make("UNet-flatten")
    near = (mean(image) - mean(moved)).norm() / mean(image).norm()
    far = (flat(image) - flat(moved)).norm() / flat(image).norm()
    assert far > 3 * near


def test_a_head_is_one_linear_layer_or_three(randn):
    features = randn(1, 1, 5, 1, 1)
    linear, deep = (randomized(FeatureEncoder(1, 5, 3, mlp_head_dim=width).double()) for width in (None, 4))
    assert [[tuple(layer.weight.shape) for layer in encoder.head] for encoder in (linear, deep)] == [
        [(128, 5)], [(4, 5), (4, 4), (128, 4)]
    ]  # fmt: skip
    bias = linear(torch.zeros_like(features))
    torch.testing.assert_close(linear(2 * features) - bias, 2 * (linear(features) - bias))
    bias = deep(torch.zeros_like(features))
    assert not torch.allclose(deep(2 * features) - bias, 2 * (deep(features) - bias))


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda: SetViT(9, 3, 3, patch_size=2), "9.*2"),
        (lambda: ViT(8, 3, 3, patch_size=2, pool="max"), "max.*cls"),
        (lambda: SetViT(8, 3, 3, pool="mean_patch"), "mean_patch"),
        (lambda: UNetEncoder(8, 3, 3, pool="cls"), "cls"),
        (lambda: FeatureEncoder(8, 3, 3, pool="cls"), "cls"),
        (lambda: UNetEncoder(10, 3, 3, channel_multipliers=(1, 2, 2)), "halved 2 times"),
    ],
)
def test_impossible_settings_are_explained(factory, message):
    with pytest.raises(UserError, match=message):
        factory()
