"""Rungs 3 and 4: whole networks, their loss, and its gradient by every parameter."""

from types import ModuleType

import numpy as np
import pytest

from jax_reference.model import guidance as theirs
from lightning_nsd.errors import UserError
from lightning_nsd.model import guidance as ours
from parity_tests import cases
from parity_tests.campaign import in_campaign
from parity_tests.pair import Pair
from parity_tests.rungs import loss, model


@pytest.mark.parametrize("name", in_campaign(cases.COMBINATIONS, cases.other_contexts()))
def test_network_loss_and_every_gradient_agree(name: str) -> None:
    pair = Pair(cases.COMBINATIONS[name])
    inputs = pair.inputs()
    for check in (*model.check(pair, inputs), *loss.check(pair, inputs)):
        check.require()


@pytest.mark.parametrize("name", cases.EVERY_MODULE)
def test_they_agree_in_single_precision(name: str) -> None:
    pair = Pair(cases.EVERY_MODULE[name], "float32", compiled=True)
    inputs = pair.inputs()
    for check in (*model.check(pair, inputs), *loss.check(pair, inputs), *loss.bits(pair, inputs)):
        check.require()


@pytest.mark.parametrize("name", ["SetViT-mean-time-film-Variational-DiT", "ViT-slots-joint-Variational"])
def test_the_bits_of_an_episode_with_a_context_drawn_at_every_timestep_agree(name: str) -> None:
    pair = Pair(cases.COMBINATIONS[name])
    for check in loss.bits(pair, pair.inputs()):
        check.require()


def test_padded_images_agree() -> None:
    settings = {**cases.SMALL_DIT, "image_size": 28, "channels": 1}
    pair = Pair(settings, compiled=True)
    inputs = pair.inputs()
    for check in (*model.check(pair, inputs), *loss.check(pair, inputs), *loss.bits(pair, inputs)):
        check.require()


def test_dropped_queries_do_not_hide_episodes_in_a_wrong_order() -> None:
    inputs = Pair(cases.SMALL_DIT).inputs()
    episodes, n = inputs.images.shape[:2]
    right, wrong = np.repeat(np.arange(episodes), n), np.tile(np.arange(episodes), n)
    assert inputs.dropped is not None and inputs.dropped.any()
    assert (right != wrong)[~inputs.dropped].any()


@pytest.mark.parametrize("n_shot", [1, 3])
def test_other_numbers_of_shots_agree(n_shot: int) -> None:
    pair = Pair({**cases.EVERY_MODULE["ViT-DiT"], "n_shot": n_shot}, compiled=True)
    for check in loss.check(pair, pair.inputs(batch=1)):
        check.require()


@pytest.mark.parametrize(("side", "error"), [(ours, UserError), (theirs, ValueError)], ids=["torch", "jax"])
def test_guidance_needs_a_null_context_on_both_sides(side: ModuleType, error: type[Exception]) -> None:
    side.check_guidance(1.0, False)
    side.check_guidance(2.0, True)
    with pytest.raises(error, match=r"fid\.sampler\.guidance is 2\.0.*context_dropout above 0"):
        side.check_guidance(2.0, False, "fid.sampler.guidance")
