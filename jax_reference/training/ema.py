"""Exponential moving average of the weights."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def ema_decay_at(step: Int[Array, ""] | int, decay: float, warmup: bool) -> Float[Array, ""] | float:
    """The decay of update number `step` (1 is the first): min(decay, (1 + step) / (10 + step)) with warm-up."""
    if not warmup:
        return decay
    number = jnp.asarray(step, float)  # a quotient of int32 would be float32, whatever the parameters are
    return jnp.minimum(decay, (1 + number) / (10 + number))


def update_ema(ema: Any, model: Any, decay: Float[Array, ""] | float) -> Any:
    """ema ← decay · ema + (1 − decay) · model, for every parameter; both trees have the same leaves."""
    return jax.tree.map(lambda old, new: (decay * old + (1 - decay) * new).astype(old.dtype), ema, model)
