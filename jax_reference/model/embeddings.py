"""Timestep features, fixed and patch positions."""

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float64, Int

from jax_reference.written_out.layers import Linear, silu

TIMESTEP_FEATURES = 256


class TimestepFeatures(nnx.Module):
    """`[cos, sin]` of `t · 10000^(-2k/F)`, k = 0 … F/2 − 1 (Vaswani et al. 2017, arXiv 1706.03762, section 3.5).

    Of an odd number F of features the last is 0.
    """

    def __init__(self, num_features: int = TIMESTEP_FEATURES) -> None:
        self.num_features = num_features

    def __call__(self, t: Int[Array, " b"], like: Float[Array, "..."]) -> Float[Array, "b F"]:
        """In the dtype of `like`."""
        half = self.num_features // 2
        frequencies = np.exp(-np.log(10000.0) * np.arange(half) / half)  # float64, rounded once
        angles = t[:, None].astype(like.dtype) * jnp.asarray(frequencies, like.dtype)  # (b, F // 2)
        features = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)
        return jnp.pad(features, ((0, 0), (0, self.num_features % 2)))


class TimestepEmbedding(nnx.Module):
    """Features → Linear → SiLU → Linear (DiT, arXiv 2212.09748, section 3.2)."""

    def __init__(self, hidden_size: int, num_features: int = TIMESTEP_FEATURES, *, rngs: nnx.Rngs) -> None:
        self.features = TimestepFeatures(num_features)
        self.linear_1 = Linear(num_features, hidden_size, rngs=rngs)
        self.linear_2 = Linear(hidden_size, hidden_size, rngs=rngs)

    def __call__(self, t: Int[Array, " b"]) -> Float[Array, "b D"]:
        return self.linear_2(silu(self.linear_1(self.features(t, like=self.linear_1.kernel[...]))))


def sincos_positions(hidden_size: int, grid_size: int) -> Float64[np.ndarray, "{grid_size}**2 {hidden_size}"]:
    """Fixed 2-D positions of a square grid, row by row.

    Row r, column c: `[sin(c ω), cos(c ω), sin(r ω), cos(r ω)]` with ω_k = 10000^(-k / (hidden_size / 4))
    (He et al. 2022, arXiv 2111.06377, as used by DiT).
    """
    quarter = hidden_size // 4
    omega = np.exp(-np.log(10000.0) * np.arange(quarter) / quarter)
    place = np.arange(grid_size**2)
    column, row = np.outer(place % grid_size, omega), np.outer(place // grid_size, omega)  # (grid_size², quarter)
    return np.concatenate([np.sin(column), np.cos(column), np.sin(row), np.cos(row)], axis=1)
