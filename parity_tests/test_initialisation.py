"""Both sides start from the same distributions: they draw differently, so only statistics can agree."""

import copy

import numpy as np
import pytest
from flax import nnx

from jax_reference import experiment as jax_experiment
from jax_reference import train_step
from lightning_nsd.checkpoints import loading as torch_loading
from parity_tests import cases
from parity_tests.weights import key_table, to_torch_state

FIVE_SIGMA = 5.0


@pytest.mark.parametrize("name", cases.EVERY_MODULE)
def test_every_parameter_has_the_same_mean_and_spread(name: str) -> None:
    settings = cases.EVERY_MODULE[name]
    ours = torch_loading.build_model(copy.deepcopy(settings), "test").model
    model = nnx.jit(lambda: jax_experiment.build_network(settings, nnx.Rngs(1)))()
    theirs = to_torch_state(key_table(ours, model), train_step.split(model)[1])
    for key, parameter in ours.named_parameters():
        a, b = parameter.detach().numpy().astype(np.float64), theirs[key].astype(np.float64)
        assert a.dtype == b.dtype and ((a == 0).all() == (b == 0).all()), key
        if np.ptp(a) == 0:
            np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=key)
            continue
        spread = max(a.std(), b.std()) if a.size > 1 else 1.0
        assert abs(a.mean() - b.mean()) <= FIVE_SIGMA * spread * (2 / a.size) ** 0.5, key
        # the standard deviation of a standard deviation is at most σ / √(2n), that of a normal distribution
        assert abs(a.std() - b.std()) <= FIVE_SIGMA * spread * (1 / a.size) ** 0.5, key
        bound = np.abs(b).max() / np.abs(a).max()
        assert a.size < 64 or 0.6 < bound < 1.6, key
