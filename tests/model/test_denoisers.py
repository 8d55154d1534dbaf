"""DiT and UNet: shapes, start values, and what conditioning does."""

from functools import partial

import pytest
import torch

from lightning_nsd.errors import UserError
from lightning_nsd.model.dit import DiT
from lightning_nsd.model.patches import patchify, unpatchify
from lightning_nsd.model.unet import UNet
from lightning_nsd.model.unet_blocks import group_norm
from tests.conftest import randomized

DENOISERS = {
    "DiT": partial(DiT, patch_size=2, hidden_size=16, depth=2, num_heads=2),
    "UNet": partial(UNet, model_channels=8, channel_multipliers=(1, 2), num_res_blocks=1, attention_resolutions=(4,),
                    num_heads=2),
}  # fmt: skip
both = pytest.mark.parametrize("name", DENOISERS)


def make(name, conditioning="film", out_channels=3, **kwargs):
    return DENOISERS[name](8, 3, out_channels, 12, conditioning=conditioning, **kwargs).double()


@both
@pytest.mark.parametrize("conditioning", ["film", "cross_attention", "none"])
@pytest.mark.parametrize("out_channels", [3, 6])
def test_the_output_has_the_images_shape(name, conditioning, out_channels, randn):
    denoiser = make(name, conditioning, out_channels)
    context = None if conditioning == "none" else randn(2, 12)
    out = denoiser(randn(2, 3, 8, 8), torch.tensor([0, 9]), context)
    assert tuple(out.shape) == (2, out_channels, 8, 8)


@both
def test_a_new_network_predicts_zero(name, randn):
    denoiser = make(name)
    assert torch.equal(denoiser(randn(2, 3, 8, 8), torch.tensor([0, 9]), randn(2, 12)), torch.zeros(2, 3, 8, 8))


def test_projections_of_the_dit_that_share_a_linear_start_as_if_each_had_its_own():
    torch.manual_seed(0)
    block = DiT(8, 3, 3, 32, "cross_attention", hidden_size=64, depth=1, num_heads=2).blocks[0]
    attention, cross = block.attention, block.cross_attention
    for weight, fan_in, fan_out in (
        (attention.to_qkv.weight, 64, 64),
        (cross.to_kv.weight, 64, 64),
        (cross.to_q.weight, 64, 64),
        (block.mlp.linear_1.weight, 64, 256),
    ):
        bound = (
            6 / (fan_in + fan_out)
        ) ** 0.5  # of a uniform Xavier initialisation (Glorot & Bengio 2010, equation 16)
        assert 0.99 * bound < float(weight.detach().abs().max()) < 1.0001 * bound


@both
@pytest.mark.parametrize("conditioning", ["film", "cross_attention"])
def test_context_and_time_change_the_output(name, conditioning, randn):
    denoiser = randomized(make(name, conditioning))
    x, t, c = randn(2, 3, 8, 8), torch.tensor([3, 9]), randn(2, 12, seed=1)
    out = denoiser(x, t, c)
    assert not torch.allclose(out, denoiser(x, t + 1, c))
    assert not torch.allclose(out, denoiser(x, t, -c))


@both
def test_rows_of_a_batch_do_not_mix(name, randn):
    denoiser = randomized(make(name, "cross_attention"))
    x, t, c = randn(3, 3, 8, 8), torch.tensor([3, 9, 1]), randn(3, 5, 12, seed=1)
    alone = torch.cat([denoiser(x[i : i + 1], t[i : i + 1], c[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(denoiser(x, t, c), alone, rtol=1e-9, atol=1e-10)


@both
def test_a_vector_is_one_token_of_cross_attention(name, randn):
    denoiser = randomized(make(name, "cross_attention"))
    x, t, c = randn(2, 3, 8, 8), torch.tensor([3, 9]), randn(2, 12, seed=1)
    assert torch.equal(denoiser(x, t, c), denoiser(x, t, c[:, None]))


@both
def test_the_order_of_context_tokens_does_not_matter(name, randn):
    denoiser = randomized(make(name, "cross_attention"))
    x, t, c = randn(2, 3, 8, 8), torch.tensor([3, 9]), randn(2, 5, 12, seed=1)
    torch.testing.assert_close(denoiser(x, t, c), denoiser(x, t, c.flip(1)), rtol=1e-9, atol=1e-10)


def test_images_of_28_pixels_are_padded_inside_the_dit(randn):
    denoiser = randomized(DiT(28, 1, 1, 12, patch_size=4, hidden_size=16, depth=1, num_heads=2).double())
    assert tuple(denoiser(randn(1, 1, 28, 28), torch.tensor([3]), randn(1, 12)).shape) == (1, 1, 28, 28)
    assert denoiser.position.like(randn(1)).shape[-2] == 64


def test_patches_are_ordered_row_column_channel():
    image = torch.arange(2.0 * 4 * 4).reshape(1, 2, 4, 4)
    patches = patchify(image, 2)
    assert patches[0, 1].tolist() == [2, 18, 3, 19, 6, 22, 7, 23]
    assert torch.equal(unpatchify(patches, 2, 2), image)


def test_a_patch_may_be_one_pixel(randn):
    assert tuple(DiT(8, 3, 3, 12, patch_size=1, hidden_size=16, num_heads=2).position.like(randn(1)).shape) == (64, 16)


def test_the_timestep_mlp_of_the_dit_starts_small():
    embedding = DiT(8, 3, 3, 12, hidden_size=64, depth=1, num_heads=2).time_embedding
    for linear in (embedding.linear_1, embedding.linear_2):
        assert float(linear.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_dropout_of_the_unet_acts_in_training_alone(randn):
    denoiser = randomized(make("UNet", dropout=0.5))
    arguments = (randn(2, 3, 8, 8), torch.tensor([3, 9]), randn(2, 12))
    assert not torch.allclose(denoiser(*arguments), denoiser(*arguments))
    denoiser.eval()
    assert torch.equal(denoiser(*arguments), denoiser(*arguments))


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 24), (66, 22), (37, 1), (8, 8)])
def test_groups_are_the_largest_divisor_up_to_32(channels, groups):
    assert group_norm(channels).num_groups == groups


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda: DiT(9, 3, 3, 12, patch_size=2), "9.*2"),
        (lambda: DiT(8, 3, 3, 12, hidden_size=20, num_heads=8), "20.*8"),
        (lambda: DiT(8, 3, 3, 12, hidden_size=18, num_heads=2), "18.*by 4"),
        (lambda: UNet(12, 3, 3, 12, channel_multipliers=(1, 1, 1, 1)), "halved 3 times.*multiple of 8"),
        (lambda: UNet(8, 3, 3, 12, model_channels=6, channel_multipliers=(1,), attention_resolutions=(8,)), "heads"),
    ],
)
def test_impossible_settings_are_explained(factory, message):
    with pytest.raises(UserError, match=message):
        factory()


def test_a_normalised_condition_forgets_its_mean_and_its_scale(randn):
    block = randomized(make("DiT", cond_norm=True)).blocks[0]
    x, cond = randn(2, 16, 16), randn(2, 16)
    torch.testing.assert_close(block(x, 3 * cond + 1, None), block(x, cond, None), rtol=1e-4, atol=1e-6)
    plain = randomized(make("DiT")).blocks[0]
    assert not torch.allclose(plain(x, 3 * cond + 1, None), plain(x, cond, None))


def test_time_and_context_enter_a_joint_layer_together(randn):
    denoiser = randomized(make("DiT", film="joint"))
    assert denoiser.context_projection.in_features == 16 + 12
    x, t, context = randn(2, 3, 8, 8), torch.tensor([3, 7]), randn(2, 12)
    out = denoiser(x, t, context)
    for changed in ((x, t + 1, context), (x, t, context + 1)):
        assert not torch.allclose(denoiser(*changed), out)
    seen = []
    handle = denoiser.context_projection.register_forward_hook(lambda _, given, result: seen.append((given[0], result)))
    denoiser(x, t, context)
    handle.remove()
    ((given, _),) = seen
    torch.testing.assert_close(given, torch.cat([denoiser.time_embedding(t), context], dim=1))


def test_a_stored_table_of_positions_starts_as_the_computed_one_and_is_not_trained(randn):
    computed, stored = make("DiT"), make("DiT", stored_position=True)
    torch.testing.assert_close(stored.stored_position[0], computed.position.like(torch.zeros(1, dtype=torch.float64)),
                               rtol=0, atol=1e-7)  # fmt: skip
    stored = randomized(stored)
    x, t, context = randn(2, 3, 8, 8), torch.tensor([3, 7]), randn(2, 12)
    out = stored(x, t, context)
    out.square().sum().backward()
    assert stored.stored_position.grad is None and not stored.stored_position.requires_grad
    stored.stored_position.data[0, 3, 2] += 1
    assert not torch.allclose(stored(x, t, context), out)
