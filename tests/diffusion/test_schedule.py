"""Noise schedules: their tables against their definitions."""

import math
import warnings

import numpy as np
import pytest

from lightning_nsd.diffusion.schedule import Schedule, cosine_betas, linear_betas, make_betas
from lightning_nsd.errors import UserError


def test_the_linear_schedule_scales_with_the_number_of_steps():
    betas = linear_betas(1000)
    assert betas[0] == pytest.approx(1e-4, rel=1e-14)
    assert betas[-1] == pytest.approx(0.02, rel=1e-14)
    assert linear_betas(500)[0] == pytest.approx(2e-4, rel=1e-14)


def test_the_cosine_schedule_follows_its_alpha_bar_up_to_the_largest_beta():
    betas = cosine_betas(1000)
    alpha_bar = np.cumprod(1 - betas)

    def exact(t):
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2

    np.testing.assert_allclose(alpha_bar[:990], [exact(t + 1) for t in range(990)], rtol=1e-10)
    assert betas.max() == 0.999


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_the_posterior_is_bayes_rule(name):
    """Precisions of q(x_t | x_{t-1}) and q(x_{t-1} | x_0) add up to that of the posterior."""
    schedule = Schedule(make_betas(name, 100))
    t = np.arange(1, 99)
    beta, before = schedule.betas[t], schedule.alpha_bar_prev[t]
    precision = (1 - beta) / beta + 1 / (1 - before)
    np.testing.assert_allclose(schedule.posterior_variance[t], 1 / precision, rtol=1e-9)
    by_x_t = np.sqrt(1 - beta) / beta / precision
    by_x_0 = np.sqrt(before) / (1 - before) / precision
    np.testing.assert_allclose(schedule.posterior_mean_x_t[t], by_x_t, rtol=1e-9)
    np.testing.assert_allclose(schedule.posterior_mean_x_0[t], by_x_0, rtol=1e-9)


def test_the_first_log_variance_is_that_of_the_second_step():
    schedule = Schedule(linear_betas(100))
    assert schedule.posterior_log_variance_clipped[0] == np.log(schedule.posterior_variance[1])
    assert schedule.large_log_variance[0] == np.log(schedule.posterior_variance[1])
    assert schedule.large_log_variance[1] == np.log(schedule.betas[1])


def test_a_subset_knows_the_previous_step_of_the_subset():
    schedule = Schedule(linear_betas(100))
    subset = schedule.subset(np.array([0, 10, 99]))
    np.testing.assert_allclose(subset.alpha_bar, schedule.alpha_bar[[0, 10, 99]], rtol=1e-9)
    np.testing.assert_allclose(subset.alpha_bar_prev, [1, *schedule.alpha_bar[[0, 10]]], rtol=1e-9)


@pytest.mark.filterwarnings("ignore:The noise schedule reaches beta = 1")
def test_a_beta_of_one_is_allowed_and_more_is_an_error():
    Schedule(linear_betas(20))
    with pytest.raises(UserError, match=r"at least 20 steps"):
        Schedule(linear_betas(19))


@pytest.mark.parametrize("betas", [[], [0.1, 0.0], [0.1, -0.1], [0.1, np.nan]])
def test_betas_that_are_no_variances_are_an_error(betas):
    with pytest.raises(UserError, match=r"in \(0, 1\]"):
        Schedule(np.array(betas))


def test_a_beta_of_one_is_warned_of_and_less_is_not():
    with pytest.warns(UserWarning, match="beta = 1 at t = 19"):
        Schedule(linear_betas(20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Schedule(linear_betas(21))
