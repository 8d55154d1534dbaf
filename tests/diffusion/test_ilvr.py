"""ILVR: what is drawn has the coarse content of its reference, and what the model makes of the rest."""

import inspect
from functools import partial

import pytest
import torch

from lightning_nsd.checkpoints.settings import describe
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.ilvr import Reference, low_pass, reference_images, refine
from lightning_nsd.diffusion.sampler import DDIM, DDPM, DPMSolverPP
from lightning_nsd.errors import UserError
from tests.conftest import make_model, randomized, tiny_dit

T = 100


def network(x, t):
    return torch.sin(3 * x) + 0.01 * t[:, None, None, None]


def never(k):
    raise AssertionError("DDIM draws no noise")


def test_a_low_pass_keeps_the_means_of_blocks_and_nothing_else(randn):
    x = randn(2, 3, 8, 4)
    coarse = low_pass(x, 4)
    torch.testing.assert_close(coarse[0, 1, :4, :], x[0, 1, :4, :].mean().expand(4, 4))
    torch.testing.assert_close(coarse[1, 2, 4:, :], x[1, 2, 4:, :].mean().expand(4, 4))
    torch.testing.assert_close(low_pass(coarse, 4), coarse)


def test_refining_takes_the_coarse_content_of_one_and_the_detail_of_the_other(randn):
    x, y = randn(2, 3, 8, 8), randn(2, 3, 8, 8, seed=1)
    refined = refine(x, y, 2)
    torch.testing.assert_close(low_pass(refined, 2), low_pass(y, 2))
    torch.testing.assert_close(refined - low_pass(refined, 2), x - low_pass(x, 2))


def test_every_query_has_one_image_of_its_set_in_turn(randn):
    support = randn(2, 3, 1, 4, 4)
    references = reference_images(support, 5)
    assert [int((support[i // 5] == image).all(dim=(1, 2, 3)).nonzero()) for i, image in enumerate(references)] == [
        0, 1, 2, 0, 1,
    ] * 2  # fmt: skip


@pytest.mark.parametrize("sampler", [DDPM, DDIM])
@pytest.mark.parametrize("prediction", ["eps", "v"])
def test_what_is_drawn_has_the_means_of_its_reference(sampler, prediction, randn):
    reference = Reference(randn(2, 3, 8, 8, seed=1), lambda k: randn(2, 3, 8, 8, seed=k + 2))
    draw = partial(
        sampler(10, ilvr_factor=4).sample, GaussianDiffusion(T, prediction=prediction), network, randn(2, 3, 8, 8)
    )
    drawn = draw(lambda k: randn(2, 3, 8, 8, seed=k + 50), reference)
    torch.testing.assert_close(low_pass(drawn, 4), low_pass(reference.images, 4))
    assert (drawn - reference.images).abs().mean() > 0.1


def test_steps_before_ilvr_until_alone_are_held_to_the_reference_and_the_last_is_without_noise(randn):
    asked = []

    def noise(k):
        asked.append(k)
        return randn(1, 1, 4, 4, seed=k)

    reference, x_T = Reference(randn(1, 1, 4, 4, seed=9), noise), randn(1, 1, 4, 4)
    chain = {"timesteps": [0, 5, 20, 60], "ilvr_factor": 2}
    free = list(DDIM(timesteps=chain["timesteps"]).trajectory(GaussianDiffusion(T), network, x_T, never))
    for until, expected in ((0, [0, 1, 2]), (5, [0, 1, 2]), (6, [0, 1]), (60, [0])):
        asked.clear()
        xs = list(DDIM(**chain, ilvr_until=until).trajectory(GaussianDiffusion(T), network, x_T, never, reference))
        assert asked == expected
        assert torch.allclose(low_pass(xs[-1], 2), low_pass(reference.images, 2)) == (until == 0)
        assert not torch.equal(xs[0], free[0])


def test_a_model_without_encoder_draws_from_examples_and_from_the_given_generator_alone(randn):
    model = make_model(encoder=None, denoiser=partial(tiny_dit, conditioning="none")).eval()
    randomized(model.ema)
    support = randn(2, 3, 3, 8, 8).clamp(-1, 1).float()

    def draw(support, **of_ilvr):
        return model.sample(support, 4, torch.Generator().manual_seed(0), DDIM(5, **of_ilvr))

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    held = draw(support, ilvr_factor=4)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(held, draw(support, ilvr_factor=4))
    assert torch.equal(draw(support), draw(-support))
    assert not torch.equal(held, draw(-support, ilvr_factor=4))
    held = draw(0.1 * support, ilvr_factor=8)  # nothing of it is cut off
    means = (0.1 * support[:, [0, 1, 2, 0]]).mean(dim=(3, 4))
    assert (held.mean(dim=(3, 4)) - means).abs().max() < (draw(support).mean(dim=(3, 4)) - means).abs().max()


def test_it_is_among_a_samplers_settings_and_what_lacks_it_has_none():
    kept = describe(DDIM(5, ilvr_factor=4, ilvr_until=3))["init_args"]
    assert (DDIM(**kept).ilvr_factor, DDIM(**kept).ilvr_until) == (4, 3)
    del kept["ilvr_factor"], kept["ilvr_until"]
    assert DDIM(**kept).ilvr_factor is None
    assert not [name for name in inspect.signature(DPMSolverPP).parameters if "ilvr" in name]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DDIM(5, ilvr_factor=1), "ilvr_factor is 1; it must be a whole number from 2"),
        (lambda: DDPM(5, ilvr_factor=2.5), r"ilvr_factor is 2\.5; it must be a whole number"),
        (lambda: DDIM(5, ilvr_factor=2, ilvr_until=-1), "ilvr_until is -1; it must be a whole number"),
        (lambda: DDIM(5, ilvr_until=3), "ilvr_until is 3, but there is no ILVR without sampler.ilvr_factor"),
        (lambda: DDIM(5, ilvr_factor=2, ilvr_until=50).chain(GaussianDiffusion(50)), "starts at timestep 49"),
        (lambda: DDIM(5, ilvr_factor=3).check_image_size(8), "ilvr_factor is 3; it must divide the 8 pixels"),
        (lambda: make_model(sampler=DDIM(5, ilvr_factor=3)), "ilvr_factor is 3; it must divide the 8 pixels"),
        (
            lambda: DDIM(5, ilvr_factor=2).sample(GaussianDiffusion(T), network, torch.zeros(1, 1, 4, 4), never),
            "needs reference images",
        ),
    ],
)
def test_what_cannot_be_meant_is_explained(make, message):
    with pytest.raises(UserError, match=message):
        make()
