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
    """

    step: jax.Array
    params: Any
    ema_params: Any
    opt_state: Any


def split(model: nnx.Module) -> tuple[Any, Any, Any]:
    """The network's structure, its parameters as a pure dictionary, and its other variables: dropout's generators."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
    return graph, nnx.to_pure_dict(params), rest


def merge(graph: Any, params: Any, rest: Any) -> Any:
    """The network of a structure, parameters and other variables."""
    state = nnx.State(jax.tree.map(nnx.Param, params))
    return nnx.merge(graph, state, rest, copy=True)  # a generator counts, which it may in a trace of its own alone


def keyed_by(step: jax.Array, rest: Any) -> Any:
    """Dropout's generators for one step: a run that goes on draws the masks of one that was never stopped."""

    def keyed(leaf: jax.Array) -> jax.Array:
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.fold_in(leaf, step) if is_key else leaf

    return jax.tree.map(keyed, rest)


def loss_and_gradients(
    graph: Any,
    diffusion: GaussianDiffusion,
    kl_weight: float,
    params: Any,
    rest: Any,
    images: jax.Array,
    draws: Draws,
    shown: jax.Array | None = None,
) -> tuple[dict[str, jax.Array], Any]:
    """The terms of the loss and its gradient by every parameter."""

    def loss(params: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        model = merge(graph, params, rest)
        terms = batch_means(episode_loss(model, diffusion, images, draws, kl_weight, shown))
        return terms["loss"], terms

    (_, terms), gradients = jax.value_and_grad(loss, has_aux=True)(params)
    return terms, gradients


def start_training(model: FewShotDenoiser, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step; the moving average starts at the parameters."""
    params = split(model)[1]
    return TrainState(jnp.zeros((), jnp.int32), params, params, optimizer.init(params))


def make_train_step(
    model: FewShotDenoiser,
    diffusion: GaussianDiffusion,
    optimizer: optax.GradientTransformation,
    kl_weight: float = 1.0,
    ema_decay: float = 0.9999,
    ema_warmup: bool = False,
) -> Callable[..., tuple[TrainState, dict[str, jax.Array]]]:
    """One compiled step: state, episodes `(B, N, C, H, W)`, draws (and what is shown) to the next state and terms."""
    graph, _, rest = split(model)
    gradients_of = partial(loss_and_gradients, graph, diffusion, kl_weight)

    @jax.jit
    def train_step(
        state: TrainState, images: jax.Array, draws: Draws, shown: jax.Array | None = None
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        terms, gradients = gradients_of(state.params, keyed_by(state.step, rest), images, draws, shown)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params: Any = jax.tree.map(lambda p, u: p + u.astype(p.dtype), state.params, updates)
        decay = ema_decay_at(state.step + 1, ema_decay, ema_warmup)  # after the step, so the new weights count
        following = TrainState(state.step + 1, params, update_ema(state.ema_params, params, decay), opt_state)
        return following, terms

    return train_step
