"""Maps beside x_t: made from the others of an episode, from sets of any size, and gone where a query is dropped."""

from functools import partial

import pytest
import torch

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.errors import UserError
from lightning_nsd.model import SpatialContext
from lightning_nsd.model.guidance import guided_network
from lightning_nsd.model.spatial_context import zero_where
from tests.conftest import make_model, randomized, tiny_dit

tiny_maps = partial(SpatialContext, model_channels=8, num_res_blocks=1)


@pytest.fixture(scope="module")
def maps():
    return randomized(tiny_maps(3).double()).eval()


@pytest.fixture(scope="module", params=["fixed_large", "learned"])
def model(request):
    diffusion = GaussianDiffusion(50, variance=request.param)
    return randomized(
        make_model(spatial_context=tiny_maps, context_dropout=0.1, diffusion=diffusion).model.double()
    ).eval()


def test_leaving_one_out_is_encoding_the_others(maps, randn):
    images = randn(2, 4, 3, 8, 8)
    left_out = maps.encode_leave_one_out(images).unflatten(0, (2, 4))
    for query in range(4):
        others = [i for i in range(4) if i != query]
        torch.testing.assert_close(left_out[:, query], maps(images[:, others]))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_set_of_any_size_is_the_mean_of_its_images_each_on_its_own(n, maps, randn):
    support = randn(2, n, 3, 8, 8)
    alone = [maps(support[:, i : i + 1]) for i in range(n)]
    torch.testing.assert_close(maps(support), torch.stack(alone).mean(dim=0))
    assert tuple(maps(support).shape) == (2, maps.out_channels, 8, 8)


def test_the_order_of_the_support_does_not_matter_and_what_is_in_it_does(maps, randn):
    support = randn(2, 4, 3, 8, 8)
    torch.testing.assert_close(maps(support[:, [2, 0, 3, 1]]), maps(support))
    assert not torch.allclose(maps(support[:, :3]), maps(support), rtol=0.1)


def test_an_episode_is_encoded_once(maps, randn, monkeypatch):
    seen = []
    encode = maps.encode_images
    monkeypatch.setattr(maps, "encode_images", lambda images: seen.append(len(images)) or encode(images))
    maps.encode_leave_one_out(randn(2, 4, 3, 8, 8))
    assert seen == [2 * 4]


def test_null_maps_replace_what_is_dropped_and_nothing_else(randn):
    maps, dropped = randn(3, 2, 4, 4), torch.tensor([False, True, False])
    replaced = zero_where(maps, dropped)
    assert torch.equal(replaced[~dropped], maps[~dropped])
    assert not replaced[dropped].any()


def test_a_dropped_query_does_not_depend_on_its_support_and_the_others_do(model, randn):
    images, x_t, t = randn(1, 4, 3, 8, 8), randn(4, 3, 8, 8, seed=1), torch.tensor([7])
    dropped = torch.tensor([False, True, False, True])
    one, other = (model(shown, x_t, t, dropped=dropped).output for shown in (images, -images.flip(1)))
    assert torch.equal(one[dropped], other[dropped])
    assert all(not torch.allclose(a, b, rtol=0.1) for a, b in zip(one[~dropped], other[~dropped], strict=True))


def test_guidance_goes_away_from_the_network_without_either_context(model, randn):
    support, x_t, t = randn(2, 3, 3, 8, 8), randn(4, 3, 8, 8, seed=1), torch.tensor([3, 3, 40, 40])
    contexts = [
        given.repeat_interleave(2, dim=0) for given in (model.support_context(support), model.support_maps(support))
    ]
    conditional = model.denoise(x_t, t, *contexts)
    null = model.denoise(x_t, t, model.null_context.expand(4, -1), torch.zeros_like(contexts[1]))
    assert torch.equal(guided_network(model, support, 2, 1.0)(x_t, t), conditional)
    for w in (0.0, 2.5):
        guided = guided_network(model, support, 2, w)(x_t, t)
        torch.testing.assert_close(guided[:, :3], (null + w * (conditional - null))[:, :3])
        torch.testing.assert_close(guided[:, 3:], conditional[:, 3:])  # a learned variance


def test_the_output_depends_on_the_maps_alone_too(model, randn):
    x_t, t, context = randn(1, 3, 8, 8), torch.tensor([7]), randn(1, 16, seed=1)
    one, other = (model.denoise(x_t, t, context, randn(1, 8, 8, 8, seed=seed)) for seed in (2, 3))
    assert not torch.allclose(one, other, rtol=0.1)


def test_a_spatial_context_stands_beside_an_encoder():
    without = {"encoder": None, "denoiser": partial(tiny_dit, conditioning="none")}
    with pytest.raises(UserError, match=r"model\.spatial_context stands beside .* model\.encoder, and there is no"):
        make_model(spatial_context=tiny_maps, **without)


@pytest.mark.parametrize(("name", "value"), [("model_channels", 0), ("num_res_blocks", 0), ("num_res_blocks", 2.5)])
def test_a_size_that_cannot_be_is_refused(name, value):
    with pytest.raises(UserError, match=rf"model\.spatial_context\.{name} is {value}; it must be a whole number"):
        make_model(spatial_context=partial(tiny_maps, **{name: value}))
