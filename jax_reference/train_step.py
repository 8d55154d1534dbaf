"""One optimiser step with its moving average, as Lightning and torch make it."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]
from flax import nnx

from jax_reference.diffusion.gaussian import GaussianDiffusion
from jax_reference.model.few_shot_denoiser import FewShotDenoiser
from jax_reference.training.draws import Draws
from jax_reference.training.ema import ema_decay_at, update_ema
from jax_reference.training.episode_loss import batch_means, episode_loss


class TrainState(NamedTuple):
    """Everything that changes from step to step.

    Attributes:
        step: optimiser steps taken.
        params: of the network, a pure dictionary of arrays.
        ema_params: their moving average.
        opt_state: of the optimiser.
        rest: the network's other variables: counters of dropout.
    """

    step: jax.Array
    params: Any
    ema_params: Any
    opt_state: Any
    rest: Any


def split(model: nnx.Module) -> tuple[Any, Any, Any]:
    """The network's structure, its parameters as a pure dictionary, and its other variables."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
    return graph, nnx.to_pure_dict(params), rest


def merge(graph: Any, params: Any, rest: Any) -> Any:
    """The network of a structure, parameters and other variables."""
    state = nnx.State(jax.tree.map(nnx.Param, params))
    return nnx.merge(graph, state, rest)


def loss_and_gradients(
    graph: Any,
    diffusion: GaussianDiffusion,
    kl_weight: float,
    params: Any,
    rest: Any,
    images: jax.Array,
    draws: Draws,
    shown: jax.Array | None = None,
) -> tuple[dict[str, jax.Array], Any, Any]:
    """The terms of the loss, its gradient by every parameter, and the network's other variables afterwards."""

    def loss(params: Any) -> tuple[jax.Array, tuple[dict[str, jax.Array], Any]]:
        model = merge(graph, params, rest)
        terms = batch_means(episode_loss(model, diffusion, images, draws, kl_weight, shown))
        return terms["loss"], (terms, split(model)[2])

    (_, (terms, rest)), gradients = jax.value_and_grad(loss, has_aux=True)(params)
    return terms, gradients, rest


def start_training(model: FewShotDenoiser, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step; the moving average starts at the parameters."""
    _, params, rest = split(model)
    return TrainState(jnp.zeros((), jnp.int32), params, params, optimizer.init(params), rest)


def make_train_step(
    model: FewShotDenoiser,
    diffusion: GaussianDiffusion,
    optimizer: optax.GradientTransformation,
    kl_weight: float = 1.0,
    ema_decay: float = 0.9999,
    ema_warmup: bool = False,
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
    """One compiled step: state, episodes `(B, N, C, H, W)`, draws (and what is shown) to the next state and terms."""
    gradients_of = partial(loss_and_gradients, split(model)[0], diffusion, kl_weight)

    @jax.jit
    def train_step(
        state: TrainState, images: jax.Array, draws: Draws, shown: jax.Array | None = None
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        terms, gradients, rest = gradients_of(state.params, state.rest, images, draws, shown)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params: Any = jax.tree.map(lambda p, u: p + u.astype(p.dtype), state.params, updates)
        decay = ema_decay_at(state.step + 1, ema_decay, ema_warmup)  # after the step, so the new weights count
        following = TrainState(state.step + 1, params, update_ema(state.ema_params, params, decay), opt_state, rest)
        return following, terms

    return train_step
