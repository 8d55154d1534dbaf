"""k optimiser steps of both networks on the same loss, and the moving averages of their parameters."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]
import torch
from torch import nn

from parity_tests.pairing.arrays import to_numpy
from parity_tests.pairing.jax_sides.side import JaxSide
from parity_tests.pairing.key_map import KeyMap
from parity_tests.pairing.optimizers import OptimizerPair, clip_by_global_norm


class Trained(NamedTuple):
    """What one side is after its steps, by torch's keys.

    Attributes:
        losses: before each step.
        parameters: after the last.
        average: their moving average.
    """

    losses: list[float]
    parameters: dict[str, np.ndarray]
    average: dict[str, np.ndarray]


def train_torch(
    module: nn.Module, loss: Callable[[nn.Module], torch.Tensor], optimizer: OptimizerPair, steps: int, ema: float
) -> Trained:
    """Train a copy of a torch network.

    Args:
        module: the network.
        loss: of the network.
        optimizer: the rule.
        steps: how many.
        ema: decay of the moving average, which starts at the first weights.
    """
    module = copy.deepcopy(module)
    trained = {key: p for key, p in module.named_parameters() if p.requires_grad}
    average = {key: p.detach().clone() for key, p in trained.items()}
    rule = optimizer.torch(list(trained.values()))
    schedule = torch.optim.lr_scheduler.LambdaLR(rule, optimizer.schedule or (lambda _: 1.0))
    losses = []
    for _ in range(steps):
        rule.zero_grad()
        value = loss(module)
        value.backward()
        if optimizer.clip is not None:
            nn.utils.clip_grad_norm_(list(trained.values()), optimizer.clip)
        rule.step()
        schedule.step()
        losses.append(float(value.detach()))
        with torch.no_grad():
            for key, p in trained.items():
                average[key].lerp_(p, 1 - ema)
    return Trained(losses, *({key: to_numpy(p) for key, p in side.items()} for side in (trained, average)))


def train_jax(
    side: JaxSide,
    parameters: dict[str, np.ndarray],
    loss: Callable[[Any], jax.Array],
    optimizer: OptimizerPair,
    steps: int,
    ema: float,
    key_map: KeyMap,
) -> Trained:
    """Train JAX's parameters; the loss is a function of all of them."""
    fixed = {path: jnp.asarray(parameters[path]) for path in side.statistics}
    values = {path: jnp.asarray(value) for path, value in parameters.items() if path not in fixed}

    def rate(lr: float) -> Any:
        return lr if optimizer.schedule is None else (lambda step: lr * jnp.asarray(factors)[step])

    factors = [optimizer.schedule(step) for step in range(steps)] if optimizer.schedule else []
    rule = optimizer.jax(rate)
    if optimizer.clip is not None:
        rule = optax.chain(clip_by_global_norm(optimizer.clip), rule)
    state, average, losses = rule.init(values), values, []

    @jax.jit
    def step(values: Any, state: Any, average: Any) -> Any:
        value, gradients = jax.value_and_grad(lambda v: loss({**fixed, **v}))(values)
        updates, state = rule.update(gradients, state, values)
        values = optax.apply_updates(values, updates)
        return value, values, state, optax.incremental_update(values, average, 1 - ema)

    for _ in range(steps):
        value, values, state, average = step(values, state, average)
        losses.append(float(value))
    back = [
        key_map.to_torch({**parameters, **{p: np.asarray(v) for p, v in side.items()}}) for side in (values, average)
    ]
    return Trained(losses, *back)
