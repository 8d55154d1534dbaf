"""The moving average, the rate over the steps, and who gets which rate."""

import math

import pytest
import torch
from torch import nn

from lightning_nsd.errors import UserError
from lightning_nsd.training.ema import ema_decay_at, update_ema
from lightning_nsd.training.groups import parameter_groups
from lightning_nsd.training.lr_schedule import LRSchedule
from tests.conftest import make_model


def test_the_average_moves_by_one_minus_decay():
    ema, model = nn.Linear(3, 2), nn.Linear(3, 2)
    before = [p.clone() for p in ema.parameters()]
    update_ema(ema, model, 0.75)
    for old, new, target in zip(before, ema.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * target)


def test_the_decay_warms_up_to_its_value():
    assert ema_decay_at(1, 0.999, warmup=False) == 0.999
    assert ema_decay_at(1, 0.999, warmup=True) == 2 / 11
    assert ema_decay_at(10**6, 0.999, warmup=True) == 0.999


def test_the_rate_warms_up_rests_and_falls():
    schedule = LRSchedule(warmup_steps=10, annealing="linear", annealing_start=0.5)
    factors = [schedule.factor(step, 100) for step in (0, 9, 49, 50, 75, 100)]
    assert factors == pytest.approx([0.1, 1.0, 1.0, 1.0, 0.5, 0.0])


def test_half_a_cosine_ends_at_the_final_factor():
    schedule = LRSchedule(annealing="cosine", final_factor=0.1)
    assert [schedule.factor(s, 100) for s in (0, 50, 100)] == pytest.approx([1.0, 0.55, 0.1])


def test_annealing_without_an_end_is_an_error():
    with pytest.raises(UserError, match=r"trainer\.max_steps"):
        LRSchedule(annealing="linear").factor(0, math.inf)
    assert LRSchedule().factor(10**9, math.inf) == 1.0


@pytest.mark.parametrize("settings", [{"warmup_steps": -1}, {"annealing_start": 2.0}, {"final_factor": -0.1}])
def test_impossible_schedules_are_explained(settings):
    with pytest.raises(UserError, match="lr_schedule"):
        LRSchedule(**settings)


def test_every_parameter_is_in_one_group_and_groups_have_their_own_rates():
    model = make_model(context_dropout=0.1).model
    groups = {group["name"]: group for group in parameter_groups(model, 1e-3, None)}
    assert groups["encoder"]["lr"] == 1e-3
    assert "lr" not in groups["denoiser"]
    ids = [id(p) for group in groups.values() for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    assert {id(p) for p in groups["denoiser"]["params"]} == {id(p) for p in model.denoiser.parameters()}


@pytest.mark.parametrize("part", ["encoder", "denoiser"])
def test_what_is_not_trained_is_in_no_group(part):
    model = make_model().model
    untrained = next(getattr(model, part).parameters()).requires_grad_(False)
    grouped = {id(p) for group in parameter_groups(model, None, None) for p in group["params"]}
    assert grouped == {id(p) for p in model.parameters()} - {id(untrained)}
