"""The learning rate over the steps, as a factor of its base value."""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@dataclass(frozen=True)
class LRSchedule:
    """Linear warm-up, a plateau, then annealing to `final_factor`, which it has after the last step.

    Attributes:
        warmup_steps: steps over which the rate rises linearly.
        annealing: how the rate falls: not at all, linearly, or as half a cosine.
        annealing_start: fraction of all steps after which it falls.
        final_factor: where it ends, as a fraction of the base rate.
    """

    warmup_steps: int = 0
    annealing: Literal["none", "linear", "cosine"] = "none"
    annealing_start: float = 0.0
    final_factor: float = 0.0

    def factor(self, step: Int[Array, ""] | int, total_steps: float) -> Float[Array, ""]:
        """The factor of optimiser step `step` (0 is the first) out of `total_steps`."""
        step = jnp.asarray(step, float)
        warm = jnp.minimum(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.annealing == "none":
            return warm
        start = self.annealing_start * total_steps
        progress = jnp.clip((step - start) / max(1.0, total_steps - start), 0.0, 1.0)
        falling = 1 - progress if self.annealing == "linear" else (1 + jnp.cos(jnp.pi * progress)) / 2
        return warm * (self.final_factor + (1 - self.final_factor) * falling)
