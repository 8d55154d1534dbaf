"""Rung 0."""

import pytest

from jax_reference.diffusion import schedule as theirs
from lightning_nsd.diffusion import schedule as ours
from lightning_nsd.errors import UserError
from parity_tests.rungs import schedule


@pytest.mark.parametrize("name", ["linear", "cosine"])
@pytest.mark.parametrize("num_steps", [10, 100, 1000])
def test_every_table_agrees(name: ours.ScheduleName, num_steps: int) -> None:
    if (name, num_steps) == ("linear", 10):
        pytest.skip("no such schedule: its betas reach 2, an error on both sides (next test)")
    for check in schedule.check(name, num_steps):
        check.require()


def test_an_impossible_schedule_is_an_error_on_both_sides() -> None:
    with pytest.raises(UserError, match="beta"):
        ours.Schedule(ours.make_betas("linear", 10))
    with pytest.raises(ValueError, match="beta"):
        theirs.Schedule(theirs.make_betas("linear", 10))
