"""torch-xla, the backend of TPUs, on its CPU device, held against JAX."""

import pytest

from parity_tests import cases
from parity_tests.pair import Pair
from parity_tests.rungs import loss, model, sampler


@pytest.mark.parametrize("name", ["SetViT-DiT", "UNetEncoder-UNet"])
def test_torch_xla_agrees(name: str, xla: str) -> None:
    pair = Pair(cases.EVERY_MODULE[name], backend=xla)
    inputs = pair.inputs()
    for check in (*model.check(pair, inputs), *loss.check(pair, inputs)):
        check.require()


def test_a_trajectory_of_torch_xla_agrees(xla: str) -> None:
    pair = Pair(cases.SMALL_DIT, backend=xla)
    for check in sampler.check(pair, "DDPM", num_steps=5):
        check.require()
