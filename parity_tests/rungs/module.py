"""Rung 2: every module on its own, given the same inputs: its output, and its vector-Jacobian product."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from jax_reference import train_step
from lightning_nsd.rng import philox
from lightning_nsd.xla.device import run_recorded
from parity_tests.check import Check
from parity_tests.compare import errors_of
from parity_tests.pair import Inputs, Pair, to_jax, to_numpy
from parity_tests.record import Call, arrays_in, dotted, record_torch
from parity_tests.tolerances import GRADIENT_FLOOR, Dtype
from parity_tests.weights import key_table, to_torch_state

GRADIENT = "module gradient"  # the line of the table of tolerances
WHOLE_NETWORKS = ("", "encoder", "denoiser")  # the next rung


def forward_calls(pair: Pair, inputs: Inputs) -> dict[str, Call]:
    """What every torch module is given in one forward pass, support contexts and maps included."""
    with torch.no_grad(), record_torch(pair.ours.model) as calls:
        pair.ours.model.support_context(pair.on_device(pair.support(inputs)), pair.on_device(inputs.t))
        pair.ours.model.support_maps(pair.on_device(inputs.images[:, 1:]))
        pair.ours.loss_terms(*(pair.on_device(value) for value in inputs))
    return calls


def is_float(value: Any) -> bool:
    """Whether a derivative can be taken by it."""
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def cotangents(output: Any) -> list[np.ndarray]:
    """A random vector for every array of an output."""
    return [philox(2, index).standard_normal(a.shape).astype(a.dtype) for index, a in enumerate(arrays_in(output))]


def weighted_sum(output: Any, vectors: list[np.ndarray], constant: Any) -> Any:
    """⟨output, vectors⟩, whose gradient is the vector-Jacobian product."""
    parts = [part for part in (output if isinstance(output, tuple) else (output,)) if part is not None]
    return sum((part * constant(vector)).sum() for part, vector in zip(parts, vectors, strict=True))


def our_vjp(module: torch.nn.Module, call: Call) -> dict[str, np.ndarray]:
    """Output, and gradients by inputs and parameters, of a torch module."""
    module.zero_grad(set_to_none=True)
    args = [a.detach().clone().requires_grad_() if is_float(a) else a for a in call.args]
    kwargs = {k: a.detach().clone().requires_grad_() if is_float(a) else a for k, a in call.kwargs.items()}
    output = module(*args, **kwargs)
    vectors = cotangents(output)
    total = weighted_sum(output, vectors, lambda vector: torch.from_numpy(vector).to(args[0].device))
    results = {f"output {i}": a for i, a in enumerate(arrays_in(output))}
    inputs = {f"input {k}": a for k, a in [*enumerate(args), *kwargs.items()] if is_float(a) and k != "like"}
    parameters = dict(module.named_parameters())
    if not getattr(total, "requires_grad", False):
        return results
    total.backward()
    run_recorded(total.device)
    return results | {k: to_numpy(a.grad) for k, a in {**inputs, **parameters}.items() if a.grad is not None}


def their_vjp(module: nnx.Module, torch_module: torch.nn.Module, call: Call) -> dict[str, np.ndarray]:
    """The same of a JAX module, by the names of the torch side."""
    graph, params, rest = train_step.split(module)
    given: dict[Any, Any] = {**dict(enumerate(call.args)), **call.kwargs}
    named = {k: to_jax(a) for k, a in given.items()}
    floats = {k: a for k, a in named.items() if is_float(given[k])}

    def run(params: Any, floats: Any) -> Any:
        values = {**named, **floats}
        kwargs = {k: values[k] for k in call.kwargs}
        return train_step.merge(graph, params, rest)(*(values[i] for i in range(len(call.args))), **kwargs)

    vectors = cotangents(call.output)
    output = run(params, floats)
    of_params, of_inputs = jax.grad(
        lambda params, floats: weighted_sum(run(params, floats), vectors, jnp.asarray), argnums=(0, 1)
    )(params, floats)
    results = {f"output {i}": a for i, a in enumerate(arrays_in(output))}
    results |= {f"input {k}": to_numpy(a) for k, a in of_inputs.items()}
    table = key_table(torch_module, module) if any(True for _ in torch_module.parameters()) else []
    return results | to_torch_state(table, of_params)


def check_call(name: str, ours: torch.nn.Module, theirs: nnx.Module, call: Call, dtype: Dtype) -> Iterator[Check]:
    """Output and vector-Jacobian product of one module for one call's inputs."""
    left, right = our_vjp(ours, call), their_vjp(theirs, ours, call)
    outputs = {key for key in right if key.startswith("output")}
    right = {key: value for key, value in right.items() if key in left or np.abs(value).max() > 0}
    forward = errors_of({key: left[key] for key in outputs}, {key: right[key] for key in outputs})
    yield Check("module", f"{name} ({type(ours).__name__})", dtype, forward)
    gradients = [{k: v for k, v in side.items() if k not in outputs} for side in (left, right)]
    if gradients[1]:
        errors = errors_of(gradients[0], gradients[1], GRADIENT_FLOOR[dtype])
        yield Check("module", f"{name} ({type(ours).__name__}), gradients", dtype, errors, GRADIENT)


def check(pair: Pair, inputs: Inputs) -> Iterator[Check]:
    """Every module that both sides have, in forward order."""
    theirs = {dotted(path): module for path, module in nnx.iter_modules(pair.theirs)}
    modules = dict(pair.ours.model.named_modules())
    calls = forward_calls(pair, inputs)
    for name, call in calls.items():
        if name in theirs and name not in WHOLE_NETWORKS and not isinstance(theirs[name], nnx.Dropout | nnx.List):
            yield from check_call(name, modules[name], theirs[name], call, pair.dtype)


def summary(checks: Iterator[Check]) -> Iterator[Check]:
    """All outputs as one check and all gradients as another, each module with its worst error, in forward order."""
    outputs: dict[str, float] = {}
    gradients: dict[str, float] = {}
    for check in checks:
        name, is_gradient = check.what.removesuffix(", gradients"), check.what.endswith(", gradients")
        (gradients if is_gradient else outputs)[name] = check.worst.error
        dtype = check.dtype
    yield Check("module", f"outputs of {len(outputs)} modules, each given the same inputs", dtype, outputs)
    yield Check("module", f"vector-Jacobian products of {len(gradients)} modules", dtype, gradients, GRADIENT)
