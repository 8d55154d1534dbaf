"""Rung 3: whole networks, and where the error comes in."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from jax_reference.model.guidance import guided_network as their_guided_network
from lightning_nsd.accelerators.device import run_recorded
from lightning_nsd.model.guidance import guided_network
from parity_tests.check import Check
from parity_tests.compare import errors_of, relative_error
from parity_tests.pair import Inputs, Pair
from parity_tests.pairing.arrays import leaves, to_jax, to_numpy
from parity_tests.pairing.calls import Call
from parity_tests.pairing.jax_sides.nnx_side import recording as recording_jax
from parity_tests.pairing.torch_side import recording as recording_torch


def our_calls(pair: Pair, inputs: Inputs) -> list[Call]:
    """One training forward pass of the torch side, every module's call recorded."""
    images, t, x_t, *others = inputs
    with torch.no_grad(), recording_torch(pair.ours.model) as calls:
        pair.ours.model(*(pair.on_device(value) for value in (images, x_t, t, *others)))
        run_recorded(pair.device)
    return calls


def their_calls(pair: Pair, inputs: Inputs) -> list[Call]:
    """The same of the JAX side."""
    images, t, x_t, *others = inputs
    with recording_jax(pair.theirs) as calls:
        pair.theirs(*(to_jax(value) for value in (images, x_t, t, *others)))
    return calls


def by_depth(left: Sequence[Call], right: Sequence[Call]) -> dict[str, float]:
    """The error of the output of every module that both sides have, in forward order.

    Images may stand in a batch axis of their own on one side, so outputs are compared in one shape.
    """
    errors = {}
    theirs = {call.name.replace("/", "."): call for call in right}
    for name, call in {call.name: call for call in left}.items():
        if name in theirs:
            pairs = zip(*(map(to_numpy, leaves(side.output)) for side in (call, theirs[name])), strict=True)
            errors[name or "network"] = max(relative_error(a, b.reshape(a.shape)) for a, b in pairs)
    return errors


def sampling_outputs(pair: Pair, inputs: Inputs) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a sampler calls: contexts of support sets, and the network with and without guidance.

    As many queries each as an episode has images: what is compiled for training's forward pass serves again. The
    interval is the first of the timesteps, so that it begins and ends with one that is guided.
    """
    support, t = pair.support(inputs), inputs.t
    queries = inputs.images.shape[1]
    timesteps = t.repeat(queries)
    left: dict[str, Any] = {}
    right: dict[str, Any] = {}
    arrays = (inputs.noise, timesteps)
    cases: dict[str, tuple[float, list[int] | None]] = {"guidance 1.0": (1.0, None)}
    if pair.ours.model.null_context is not None:
        cases |= {"guidance 2.5": (2.5, None), "guidance 2.5 in an interval": (2.5, [int(t[0]), int(t[0])])}
    for name, guidance in cases.items():
        with torch.no_grad():
            network = guided_network(pair.ours.model, pair.on_device(support), queries, *guidance)
            left[name] = to_numpy(network(*map(pair.on_device, arrays)))
        right[name] = to_numpy(
            their_guided_network(pair.theirs, to_jax(support), queries, *guidance)(*map(to_jax, arrays))
        )
    return left, right


def check(pair: Pair, inputs: Inputs) -> Iterator[Check]:
    """The output of every module in forward order, then what sampling calls."""
    yield Check(
        "model",
        "forward pass, every module's output",
        pair.dtype,
        by_depth(our_calls(pair, inputs), their_calls(pair, inputs)),
    )
    yield Check("model", "sampling's network", pair.dtype, errors_of(*sampling_outputs(pair, inputs)))
