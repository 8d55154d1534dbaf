"""`sample`: the sampler of a checkpoint with what a command line changes of it."""

import inspect
from typing import get_args

import pytest

from lightning_nsd.checkpoints.settings import describe
from lightning_nsd.commands.sample import SamplerName, choose_sampler
from lightning_nsd.diffusion.sampler import DDIM, SAMPLERS
from tests.conftest import make_model

UNUSUAL = {"num_steps": 7, "timesteps": None, "guidance": 2.0, "clip": False, "spacing": "trailing", "eta": 0.5}
"""A value of every argument of every sampler that is the default of none."""
CHOSEN = {**UNUSUAL, "num_steps": None, "timesteps": [1, 5, 9]}
PAIRS = [(own, other) for own in SAMPLERS for other in SAMPLERS if own != other]


def settings(name: str, values: dict) -> dict:
    """The values that a sampler has arguments for."""
    return {argument: values[argument] for argument in inspect.signature(SAMPLERS[name]).parameters}


def chosen(own: str, values: dict, name: str | None = None, steps: int | None = None, guidance: float | None = None):
    """What is made of a sampler with some settings: its class, and its settings."""
    model = make_model(sampler=SAMPLERS[own](**settings(own, values)), context_dropout=0.1)
    sampler = choose_sampler(model, name, steps, guidance)
    return type(sampler), describe(sampler)["init_args"]


def test_the_command_line_knows_every_registered_sampler():
    assert get_args(SamplerName) == tuple(SAMPLERS)


@pytest.mark.parametrize("values", [UNUSUAL, CHOSEN], ids=["a number of steps", "chosen timesteps"])
@pytest.mark.parametrize("own", SAMPLERS)
def test_nothing_is_changed_that_is_not_asked_for(own, values):
    mine = settings(own, values)
    assert chosen(own, values) == (SAMPLERS[own], mine)
    assert chosen(own, values, name=own) == (SAMPLERS[own], mine)
    assert chosen(own, values, guidance=3.0) == (SAMPLERS[own], {**mine, "guidance": 3.0})
    assert chosen(own, values, steps=4) == (SAMPLERS[own], {**mine, "num_steps": 4, "timesteps": None})


@pytest.mark.parametrize("values", [UNUSUAL, CHOSEN], ids=["a number of steps", "chosen timesteps"])
@pytest.mark.parametrize(("own", "other"), PAIRS)
def test_another_sampler_takes_over_all_but_the_spacing_and_what_the_own_has_not(own, other, values):
    default = {name: p.default for name, p in inspect.signature(SAMPLERS[other]).parameters.items()}
    shared = {name: value for name, value in settings(own, values).items() if name in default and name != "spacing"}
    assert chosen(own, values, name=other) == (SAMPLERS[other], {**default, **shared})


def test_another_sampler_takes_as_many_steps_as_the_own():
    model = make_model(sampler=DDIM())
    for name in SAMPLERS:
        assert len(choose_sampler(model, name, None, None).chain(model.diffusion)) == 50
