"""The loss of episodes, and one optimiser step with its moving average."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]
from flax import nnx

from jax_reference.diffusion.gaussian import GaussianDiffusion
from jax_reference.diffusion.loss import diffusion_loss_terms
from jax_reference.model.few_shot_denoiser import FewShotDenoiser
from jax_reference.optim.ema import ema_decay_at, update_ema


class Draws(NamedTuple):
    """What a loss needs besides the images.

    Attributes:
        t: one timestep per episode, `(B,)`.
        noise: `(B·N, C, H, W)`.
        context_noise: xi of each leave-one-out context, `(B·N, …)`, for a variational context.
        dropped: queries that see the null context, bool `(B·N,)`, with context dropout.
    """

    t: jax.Array
    noise: jax.Array
    context_noise: jax.Array | None = None
    dropped: jax.Array | None = None


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


def loss_terms(
    model: FewShotDenoiser, diffusion: GaussianDiffusion, images: jax.Array, draws: Draws, kl_weight: float
) -> dict[str, jax.Array]:
    """The loss of episodes and what it is made of.

    Args:
        images: `(B, N, C, H, W)` in [-1, 1].

    Returns:
        `mse` `(B·N,)`; `vb` `(B·N,)` with a learned variance; `kl_context` `()` with a variational context;
        `loss` `()` = mean(mse + vb) + kl_weight · kl_context.
    """
    n = images.shape[1]
    x_0 = images.reshape(-1, *images.shape[2:])  # (B·N, C, H, W)
    t = jnp.repeat(draws.t, n)  # (B·N,)
    x_t = diffusion.q_sample(x_0, t, draws.noise)
    output, kl = model(images, x_t, draws.t, draws.context_noise, draws.dropped)
    terms = diffusion_loss_terms(diffusion, output, x_0, x_t, t, draws.noise)
    loss = sum(terms.values(), start=jnp.zeros((), output.dtype)).mean()
    if kl is None:
        return {**terms, "loss": loss}
    return {**terms, "kl_context": kl.mean(), "loss": loss + kl_weight * kl.mean()}


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
) -> tuple[dict[str, jax.Array], Any, Any]:
    """The terms of the loss, its gradient by every parameter, and the network's other variables afterwards."""

    def loss(params: Any) -> tuple[jax.Array, tuple[dict[str, jax.Array], Any]]:
        model = merge(graph, params, rest)
        terms = loss_terms(model, diffusion, images, draws, kl_weight)
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
) -> Callable[[TrainState, jax.Array, Draws], tuple[TrainState, dict[str, jax.Array]]]:
    """One compiled step: state, episodes `(B, N, C, H, W)` and draws to the next state and the loss's terms."""
    gradients_of = partial(loss_and_gradients, split(model)[0], diffusion, kl_weight)

    @jax.jit
    def train_step(state: TrainState, images: jax.Array, draws: Draws) -> tuple[TrainState, dict[str, jax.Array]]:
        terms, gradients, rest = gradients_of(state.params, state.rest, images, draws)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params: Any = jax.tree.map(lambda p, u: p + u.astype(p.dtype), state.params, updates)
        decay = ema_decay_at(state.step + 1, ema_decay, ema_warmup)  # after the step, so the new weights count
        following = TrainState(state.step + 1, params, update_ema(state.ema_params, params, decay), opt_state, rest)
        return following, terms

    return train_step
