"""Classifier-free guidance as the samplers see it."""

from functools import partial

import pytest
import torch

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.model.guidance import guided_network
from tests.conftest import make_model, randomized, tiny_dit, tiny_set_vit


def test_guidance_goes_from_the_null_context_through_the_conditional_and_beyond(randn):
    model = randomized(make_model(context_dropout=0.1).model).eval()
    support, x_t = randn(2, 3, 3, 8, 8).float(), randn(4, 3, 8, 8, seed=1).float()
    t = torch.tensor([3, 3, 40, 40])
    context = model.support_context(support)
    conditional = model.denoiser(x_t, t, context[[0, 0, 1, 1]])
    null = model.denoiser(x_t, t, model.null_context.expand(4, -1))
    assert not torch.allclose(conditional, null)
    for w in (0.0, 1.0, 2.5):
        expected = null + w * (conditional - null)
        torch.testing.assert_close(guided_network(model, support, 2, w)(x_t, t), expected)


@pytest.mark.parametrize(("time_conditioned", "calls"), [(False, 1), (True, 3)])
def test_a_context_is_computed_once_unless_it_depends_on_the_time(time_conditioned, calls, randn):
    encoder = partial(tiny_set_vit, time_conditioned=time_conditioned)
    model = randomized(make_model(encoder=encoder).model).eval()
    seen = []
    model.encoder.register_forward_hook(lambda module, arguments, output: seen.append(arguments[1]))
    network = guided_network(model, randn(2, 3, 3, 8, 8).float(), 2, 1.0)
    for t in (40, 20, 0):
        network(randn(4, 3, 8, 8).float(), torch.full((4,), t))
    assert len(seen) == calls
    assert [t.tolist() for t in seen if t is not None] == [[40, 40], [20, 20], [0, 0]][
        : calls if time_conditioned else 0
    ]


def test_a_null_context_is_learned_only_where_contexts_are_dropped():
    unconditional = {"encoder": None, "denoiser": partial(tiny_dit, conditioning="none")}
    assert make_model().model.null_context is None
    assert make_model(context_dropout=0.1, **unconditional).model.null_context is None
    assert tuple(make_model(context_dropout=0.1).model.null_context.shape) == (16,)


def test_a_dropped_query_sees_the_null_context_and_the_others_their_own(randn):
    model = randomized(make_model(context_dropout=0.1).model).eval()
    images, x_t, t = randn(1, 4, 3, 8, 8).float(), randn(4, 3, 8, 8, seed=1).float(), torch.tensor([7])
    dropped = torch.tensor([False, True, False, False])
    output, without = model(images, x_t, t, dropped=dropped).output, model(images, x_t, t).output
    torch.testing.assert_close(output[~dropped], without[~dropped])
    torch.testing.assert_close(output[dropped], model.denoiser(x_t[1:2], t, model.null_context[None]))
    assert not torch.allclose(output[dropped], without[dropped])


def test_guidance_leaves_a_learned_variance_as_the_conditional_network_gives_it(randn):
    diffusion = GaussianDiffusion(50, variance="learned")
    model = randomized(make_model(context_dropout=0.1, diffusion=diffusion).model).eval()
    support, x_t, t = randn(1, 3, 3, 8, 8).float(), randn(2, 3, 8, 8, seed=1).float(), torch.tensor([3, 40])
    conditional, guided = (guided_network(model, support, 2, w)(x_t, t) for w in (1.0, 4.0))
    torch.testing.assert_close(guided[:, 3:], conditional[:, 3:], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(guided[:, :3], conditional[:, :3], rtol=0.1)
    null = model.denoiser(x_t, t, model.null_context.expand(2, -1))
    assert not torch.allclose(guided[:, 3:], null[:, 3:], rtol=0.1)


def test_the_interval_decides_image_by_image_with_both_its_ends_guided(randn):
    model = randomized(make_model(context_dropout=0.1).model.double()).eval()
    support, x_t, t = randn(1, 3, 3, 8, 8), randn(4, 3, 8, 8, seed=1), torch.tensor([9, 10, 30, 31])
    guided, unguided = (guided_network(model, support, 4, w)(x_t, t) for w in (2.1, 1.0))
    within = guided_network(model, support, 4, 2.1, [10, 30])(x_t, t)
    assert torch.equal(within[1:3], guided[1:3])
    torch.testing.assert_close(within[[0, 3]], unguided[[0, 3]])
    assert not torch.allclose(guided, unguided, rtol=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_interval_of_all_timesteps_draws_what_none_draws_to_the_last_bit(dtype, randn):
    drawn = []
    for interval in (None, [0, 49], [0, 10], [20, 20]):
        model = make_model(context_dropout=0.1, sampler=DDIM(5, guidance=2.1, guidance_interval=interval))
        randomized(model.evaluation_model)
        drawn.append(model.to(dtype).sample(randn(1, 3, 3, 8, 8), 2, torch.Generator().manual_seed(0)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])
    model.sampler = DDIM(5)  # of the five timesteps none is 20
    torch.testing.assert_close(
        drawn[3], model.sample(randn(1, 3, 3, 8, 8), 2, torch.Generator().manual_seed(0)), rtol=1e-4, atol=1e-5
    )


def test_a_batch_is_doubled_where_it_is_guided_and_nowhere_else(randn, monkeypatch):
    model = make_model(context_dropout=0.1, sampler=DDIM(timesteps=[0, 10, 20, 30, 40], guidance=2.1,
                                                         guidance_interval=[10, 20]))  # fmt: skip
    network, rows = model.evaluation_model, {}
    denoise = network.denoise
    monkeypatch.setattr(
        network, "denoise", lambda x, t, *given: rows.update({int(t[0]): len(x)}) or denoise(x, t, *given)
    )
    model.sample(randn(1, 3, 3, 8, 8).float(), 2)
    assert rows == {40: 2, 30: 2, 20: 4, 10: 4, 0: 2}
