"""Rung 0: every table of the noise schedules."""

from collections.abc import Iterator

import numpy as np

from jax_reference.diffusion import schedule as theirs
from lightning_nsd.diffusion import schedule as ours
from parity_tests.check import Check
from parity_tests.compare import errors_of
from parity_tests.tolerances import Dtype

TABLES = (
    "betas",
    "log_betas",
    "alpha_bar",
    "alpha_bar_prev",
    "half_log_snr",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "large_log_variance",
    "posterior_mean_x_0",
    "posterior_mean_x_t",
)


def tables(schedule: ours.Schedule | theirs.Schedule) -> dict[str, np.ndarray]:
    """All tables of one schedule."""
    return {name: getattr(schedule, name) for name in TABLES}


def check(name: ours.ScheduleName, num_steps: int, dtype: Dtype = "float64") -> Iterator[Check]:
    """The tables of a named schedule, and of chains that visit every third of its steps, two, and one."""
    left = ours.Schedule(ours.make_betas(name, num_steps))
    right = theirs.Schedule(theirs.make_betas(name, num_steps))
    yield Check("schedule", f"{name}, T = {num_steps}", dtype, errors_of(tables(left), tables(right)))
    every_third = np.arange(num_steps % 3, num_steps, 3)
    for chain in (every_third, np.array([1, num_steps - 1]), np.array([num_steps - 1])):
        errors = errors_of(tables(left.subset(chain)), tables(right.subset(chain)))
        yield Check("schedule", f"{name}, T = {num_steps}, {len(chain)} steps of it", dtype, errors)


def summary(name: ours.ScheduleName, num_steps: int, dtype: Dtype) -> Check:
    """All tables of a schedule and its chains as one check."""
    checks = check(name, num_steps, dtype)
    errors = {f"{each.what}: {table}": error for each in checks for table, error in each.errors.items()}
    return Check("schedule", f"{name}, T = {num_steps}, and chains of it", dtype, errors)
