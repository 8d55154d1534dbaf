"""Rung 8: every sampler, schedule and prediction of both frameworks on data whose exact network is known."""

import numpy as np
import pytest

from lightning_nsd.diffusion.schedule import ScheduleName
from parity_tests.rungs import truth

every_schedule = pytest.mark.parametrize("schedule", truth.SCHEDULES)


@every_schedule
@pytest.mark.parametrize("name", truth.SAMPLERS)
def test_what_is_drawn_is_as_near_the_data_as_the_method_allows(name: str, schedule: ScheduleName) -> None:
    truth.check_errors(name, schedule).require()


@every_schedule
@pytest.mark.parametrize("name", truth.SAMPLERS)
def test_the_error_falls_with_the_methods_order_as_steps_double(name: str, schedule: ScheduleName) -> None:
    truth.check_order(name, schedule, "v").require()


def test_v_holds_in_single_precision_where_the_schedule_leaves_nothing_of_the_image() -> None:
    truth.check_errors("DPM-Solver++(2M)", "cosine", ("v",), "float32").require()


@pytest.mark.parametrize("data", truth.DATA)
def test_the_exact_network_is_the_conditional_mean(data: str) -> None:
    """Against the mean of x_0 over a fine grid, weighted by the density of x_0 and of x_t given x_0."""
    components, alpha_bar = truth.DATA[data], 0.3
    grid = np.linspace(-4, 4, 40001)
    density = sum(c.share / c.deviation * np.exp(-(((grid - c.mean) / c.deviation) ** 2) / 2) for c in components)
    x = np.array([-1.2, 0.1, 0.7])
    weights = density * np.exp(-((x[:, None] - np.sqrt(alpha_bar) * grid) ** 2) / (1 - alpha_bar) / 2)
    network = truth.exact_network(np, [data] * 3, np.array([alpha_bar]), "x_0", x)
    found = network(x[:, None, None, None], np.zeros(3, int)).reshape(-1)
    np.testing.assert_allclose(found, (weights * grid).sum(1) / weights.sum(1), rtol=1e-9)
