"""Rung 2."""

import pytest

from lightning_nsd import model
from parity_tests import cases
from parity_tests.pair import Pair
from parity_tests.rungs import module


@pytest.mark.parametrize("name", cases.EVERY_MODULE)
def test_every_module_and_its_gradients_agree_on_the_same_inputs(name: str) -> None:
    pair = Pair(cases.EVERY_MODULE[name])
    checks = list(module.check(pair, pair.inputs()))
    assert len(checks) > 20
    for check in checks:
        check.require()


def test_every_named_class_of_the_model_is_among_the_cases() -> None:
    places = ("encoder", "denoiser", "context", "spatial_context")
    used = {s[place]["class_path"] for s in cases.EVERY_MODULE.values() for place in places if place in s}
    assert used == set(model.__all__)
