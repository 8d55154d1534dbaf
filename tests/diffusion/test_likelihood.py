"""The bits per dimension: a hand-written sum, finite everywhere, and some timesteps in place of all."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.likelihood import prior_bits, step_bits
from lightning_nsd.diffusion.strata import Strata, draw_strata, estimate_sum
from lightning_nsd.rng import philox

STEPS = 30
PIXELS = torch.tensor([0, 255, 128, 7], dtype=torch.float64).reshape(1, 1, 2, 2) / 127.5 - 1
KINDS = [(s, p, v) for s in ("linear", "cosine") for p in ("eps", "x_0", "v")
         for v in ("fixed_large", "fixed_small", "learned")]  # fmt: skip


def nearly_right(diffusion, x_0, t, noise, off):
    """x_t, the output of a network whose x_0 is off by so much of x_t's noise, and that x_0."""
    x_t = diffusion.q_sample(x_0, t, noise)
    signal, rest = (diffusion.tables.at("alpha_bar", t, x_0) * sign + (sign < 0) for sign in (1, -1))
    signal, rest = signal.sqrt(), rest.sqrt()
    predicted = x_0 + off * rest
    eps = (x_t - signal * predicted) / rest
    output = {"eps": eps, "x_0": predicted, "v": signal * eps - rest * predicted}[diffusion.prediction]
    if diffusion.variance == "learned":
        output = torch.cat([output, torch.full_like(output, 0.4)], dim=1)
    return x_t, output, predicted


def by_hand(schedule, variance, x_0, x_t, predicted, cdf):
    """The terms of all timesteps `(T,)` and of the prior in bits, from the betas; images are `(T, pixels)`."""
    if schedule == "linear":
        betas = np.linspace(0.1 / STEPS, 20 / STEPS, STEPS)
    else:
        bars = np.cos((np.arange(STEPS + 1) / STEPS + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = np.minimum(1 - bars[1:] / bars[:-1], 0.999)
    betas = betas[:, None]
    bar = np.cumprod(1 - betas, axis=0)
    before = np.append([[1.0]], bar[:-1], axis=0)
    small = betas * (1 - before) / (1 - bar)
    small[0] = small[1]
    large = np.append(small[:1], betas[1:], axis=0)
    of_p = {"fixed_large": large, "fixed_small": small, "learned": betas**0.7 * small**0.3}[variance]

    def mean(x):
        return (np.sqrt(before) * betas * x + np.sqrt(1 - betas) * (1 - before) * x_t) / (1 - bar)

    difference = mean(x_0) - mean(predicted.clip(-1, 1))
    nats = (np.log(of_p / small) + (small + difference**2) / of_p - 1) / 2
    low = np.where(x_0[0] == -1, -np.inf, x_0[0] - 1 / 255)
    high = np.where(x_0[0] == 1, np.inf, x_0[0] + 1 / 255)
    centre, width = mean(predicted.clip(-1, 1))[0], np.sqrt(of_p[0])
    nats[0] = -np.log(cdf((high - centre) / width) - cdf((low - centre) / width))
    prior = (bar[-1] * x_0[0] ** 2 - bar[-1] - np.log(1 - bar[-1])) / 2
    return nats.mean(axis=1) / math.log(2), prior.mean() / math.log(2)


def tanh_cdf(x):
    return 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize(("schedule", "prediction", "variance"), KINDS)
def test_the_bound_is_the_hand_written_sum(schedule, prediction, variance, randn):
    diffusion = GaussianDiffusion(STEPS, schedule, prediction, variance)
    t, x_0 = torch.arange(STEPS), PIXELS.expand(STEPS, 1, 2, 2)
    x_t, output, predicted = nearly_right(diffusion, x_0, t, randn(STEPS, 1, 2, 2), 0.3 * randn(STEPS, 1, 2, 2, seed=1))
    images = [values.flatten(1).numpy() for values in (x_0, x_t, predicted)]
    found, prior = step_bits(diffusion, output, x_0, x_t, t), float(prior_bits(diffusion, PIXELS))
    terms, of_prior = by_hand(schedule, variance, *images, tanh_cdf)
    assert found.tolist() == pytest.approx(terms.tolist(), rel=1e-9)
    assert prior == pytest.approx(of_prior, rel=1e-9)
    exact, _ = by_hand(schedule, variance, *images, norm.cdf)
    assert float(found.sum()) == pytest.approx(exact.sum(), abs=0.02)  # what the tanh approximation is off by


@pytest.mark.parametrize("variance", ["fixed_large", "fixed_small", "learned"])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3])
def test_it_is_finite_at_every_timestep_whatever_is_predicted(variance, scale):
    diffusion = GaussianDiffusion(100, "cosine", "eps", variance)
    t, x_0 = torch.tensor([0, 1, 50, 99]), PIXELS.float().expand(4, 1, 2, 2)
    draw = torch.Generator().manual_seed(0)
    output = scale * torch.randn(4, diffusion.out_channels(1), 2, 2, generator=draw)
    output[:, 1:] = output[:, 1:].clamp(-1, 1)
    bits = step_bits(diffusion, output, x_0, diffusion.q_sample(x_0, t, torch.randn(4, 1, 2, 2, generator=draw)), t)
    assert bits.isfinite().all() and (bits >= -1e-6).all()


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_prior_is_little_and_exact_in_single_precision(schedule):
    diffusion = GaussianDiffusion(1000, schedule)
    exact = float(prior_bits(diffusion, PIXELS))
    assert 0 < exact < 1e-4
    assert float(prior_bits(diffusion, PIXELS.float())) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 4, 5, 7, 20, 100])
def test_every_number_of_timesteps_can_be_visited(num_steps):
    for count in (None, *range(3, num_steps + 1)):
        strata = draw_strata(num_steps, count, philox(0))
        visited = np.bincount(strata.stratum)
        assert strata.sizes.sum() == num_steps
        assert len(strata.timesteps) == (count or num_steps)
        assert strata.timesteps[0] == 0 and (np.diff(strata.timesteps) > 0).all() and strata.timesteps[-1] < num_steps
        assert (visited <= strata.sizes).all() and ((visited >= 2) | (visited == strata.sizes)).all()
        ends = strata.sizes.cumsum()
        assert (np.searchsorted(ends, strata.timesteps, side="right") == strata.stratum).all()


def test_all_timesteps_give_the_sum_and_no_error():
    values = np.random.default_rng(0).random(50)
    for count in (None, 50):
        total, error = estimate_sum(draw_strata(50, count, philox(0)), values)
        assert (total, error) == (pytest.approx(values.sum()), 0.0)


def test_a_sum_and_its_error_by_hand():
    strata = Strata(np.array([0, 1, 3, 5, 6, 8]), np.array([0, 1, 1, 2, 2, 2]), np.array([1, 3, 6]))
    total, error = estimate_sum(strata, np.array([10.0, 4.0, 6.0, 1.0, 2.0, 6.0]))
    assert total == pytest.approx(10 + 3 * 5 + 6 * 3)
    assert error == pytest.approx(math.sqrt(3**2 * (1 - 2 / 3) * 2 / 2 + 6**2 * (1 - 3 / 6) * 7 / 3))


def test_some_timesteps_are_right_on_average_and_off_by_what_they_say():
    values = 1 / (1 + np.arange(200.0)) + 0.01 * np.random.default_rng(1).random(200)
    found = []
    for seed in range(400):
        strata = draw_strata(200, 20, philox(seed))
        found.append(estimate_sum(strata, values[strata.timesteps]))
    totals, errors = np.array(found).T
    assert totals.mean() == pytest.approx(values.sum(), abs=4 * totals.std() / 20)
    assert np.sqrt((errors**2).mean()) == pytest.approx(totals.std(), rel=0.15)
    of_any_20 = 200 * math.sqrt((1 - 20 / 200) / 20) * values.std(ddof=1)  # of timesteps that are drawn evenly
    assert totals.std() < of_any_20 / 10
