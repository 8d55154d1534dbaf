"""Both sides start from the same distributions: they draw differently, so only statistics can agree."""

import copy

import pytest
from flax import nnx

from jax_reference import experiment as jax_experiment
from jax_reference import train_step
from lightning_nsd.checkpoints import loading as torch_loading
from parity_tests import cases
from parity_tests.check import Check
from parity_tests.pairing.initialisation import differences
from parity_tests.weights import key_map, to_torch_state


@pytest.mark.parametrize("name", cases.EVERY_MODULE)
def test_every_parameter_has_the_same_mean_and_spread(name: str) -> None:
    settings = cases.EVERY_MODULE[name]
    ours = torch_loading.build_model(copy.deepcopy(settings), "test").model
    model = nnx.jit(lambda: jax_experiment.build_network(settings, nnx.Rngs(1)))()
    theirs = to_torch_state(key_map(ours, model), train_step.split(model)[1])
    parameters = {key: parameter.detach().numpy() for key, parameter in ours.named_parameters()}
    Check("initialisation", name, "float32", differences([parameters], [theirs])).require()
