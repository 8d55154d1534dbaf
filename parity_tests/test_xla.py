"""torch-xla, the backend of TPUs, on its CPU device, held against torch eager and against JAX, rung by rung.

Rung 1's operations are those inside the modules.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lightning_nsd.model.guidance import guided_network
from parity_tests import cases
from parity_tests.compare import errors_of, worst_of
from parity_tests.pair import Pair
from parity_tests.pairing.alone import torch_vjp
from parity_tests.pairing.arrays import leaves, to_numpy, with_arrays
from parity_tests.rungs import loss, model, module, sampler, step
from parity_tests.test_step import VARIANTS
from parity_tests.tolerances import GRADIENT_FLOOR, XLA_AGAINST_EAGER

Results = dict[str, np.ndarray]
FLOOR = GRADIENT_FLOOR["float64"]


def require_equal(compute: Callable[[Pair], Results], settings: dict[str, Any], xla: str) -> None:
    """The same on both devices, array by array."""
    eager, lazy = (compute(Pair(settings, backend=backend)) for backend in ("torch", xla))
    worst = worst_of(errors_of(lazy, eager))
    assert worst.error < XLA_AGAINST_EAGER, f"{worst.name}: {worst.error:.1e}"


def loss_and_gradients(pair: Pair) -> Results:
    """Rung 4; a gradient's error is relative to the largest gradient, as in `GRADIENT_FLOOR`."""
    terms, gradients = pair.our_loss(pair.inputs())
    largest = max(np.abs(value).max() for value in gradients.values())
    return terms | {key: np.append(value, FLOOR * largest) for key, value in gradients.items()}


def modules(pair: Pair) -> Results:
    """Rung 2: of every leaf's call, its output and vector-Jacobian product."""
    named = dict(pair.ours.model.named_modules())
    results: Results = {}
    for name, call in module.forward_calls(Pair(pair.settings), pair.inputs()).items():
        if not list(named[name].children()):
            args, kwargs = with_arrays((call.args, dict(call.kwargs)), lambda array: array.to(pair.device))
            outputs, gradients = torch_vjp(call._replace(args=args, kwargs=kwargs, run=named[name]))
            results |= {f"{name} {k}": a for k, a in {**outputs, **gradients}.items()}
    return results


def outputs(pair: Pair) -> Results:
    """Rung 3."""
    calls = model.our_calls(pair, pair.inputs())
    return {f"{call.name} {i}": a for call in calls for i, a in enumerate(map(to_numpy, leaves(call.output)))}


def trained(pair: Pair) -> Results:
    """Rung 5."""
    return step.our_steps(pair, 10, 0.5, 2)


@torch.no_grad()
def trajectories(pair: Pair) -> Results:
    """Rung 6."""
    support = pair.on_device(pair.inputs().images[:, 1:])
    x_T, noise = (pair.on_device(a) for a in sampler.start_and_noise((4, 3, 8, 8), 4, pair.dtype))
    network = guided_network(pair.ours.model, support, 2, 1.0)
    results: Results = {}
    for name in sampler.SAMPLERS:
        ours, _ = sampler.titled(name, num_steps=4)
        xs = ours.trajectory(pair.ours.diffusion, network, x_T, noise.__getitem__)
        results |= {f"{name} {k}": to_numpy(x) for k, x in enumerate(xs)}
    return results


RUNGS = {"modules": modules, "outputs": outputs, "loss and gradients": loss_and_gradients}


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("name", ["SetViT-DiT", "UNetEncoder-UNet"])
def test_torch_xla_computes_what_torch_eager_computes(name: str, rung: str, xla: str) -> None:
    require_equal(RUNGS[rung], cases.EVERY_MODULE[name], xla)


def test_ten_optimiser_steps_of_torch_xla_are_those_of_torch_eager(xla: str) -> None:
    require_equal(trained, {**cases.SMALL_DIT, **VARIANTS["groups and schedule"]}, xla)


def test_trajectories_of_torch_xla_are_those_of_torch_eager(xla: str) -> None:
    require_equal(trajectories, cases.SMALL_DIT, xla)


def test_torch_xla_agrees_with_jax(xla: str) -> None:
    pair = Pair(cases.SMALL_DIT, backend=xla)
    inputs = pair.inputs()
    for check in (*model.check(pair, inputs), *loss.check(pair, inputs), *sampler.check(pair, "DDPM", num_steps=5)):
        check.require()
