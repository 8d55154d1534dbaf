"""Muon's direction of optax's parts, as torch has it."""

from typing import Any

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]

TINY = 1e-30
"""optax adds its ε to the norm that torch keeps above its own."""


def nesterov_momentum(momentum: float, nesterov: bool = True) -> optax.GradientTransformation:
    """B ← μ B + (1 − μ) g; then B, or with Nesterov's look ahead μ B + (1 − μ) g once more.

    Unlike that of `optax.contrib.muon` it is not corrected for its bias: with the look ahead that would be another rule
    in the first steps.
    """

    def mix(old: Any, new: Any) -> Any:
        return jax.tree.map(lambda a, b: momentum * a + (1 - momentum) * b, old, new)

    def update(gradients: Any, state: Any, _: Any = None) -> Any:
        state = mix(state, gradients)
        return (mix(state, gradients) if nesterov else state), state

    return optax.GradientTransformation(lambda parameters: jax.tree.map(jnp.zeros_like, parameters), update)


def orthogonalised() -> optax.GradientTransformation:
    """Newton and Schulz's five steps on each kernel, `(in, out)` or `(height, width, in, out)`, as a matrix."""
    return optax.contrib.scale_by_muon(beta=0.0, nesterov=False, eps=TINY, weight_dimension_numbers=_dimensions)


def muon_direction(momentum: float) -> optax.GradientTransformation:
    """Nesterov's momentum made orthogonal, with the root mean square of AdamW's updates (arXiv 2502.16982)."""
    return optax.chain(
        nesterov_momentum(momentum),
        orthogonalised(),
        optax.stateless(lambda updates, _: jax.tree.map(_scaled, updates)),
    )


def _dimensions(tree: Any) -> Any:
    return jax.tree.map(lambda a: optax.contrib.MuonDimensionNumbers(tuple(range(a.ndim - 1)), a.ndim - 1), tree)


def _scaled(update: jax.Array) -> jax.Array:
    fan_out = update.shape[-1]
    return 0.2 * max(update.size // fan_out, fan_out) ** 0.5 * update
