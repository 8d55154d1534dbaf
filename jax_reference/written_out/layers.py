"""Layers with torch's conventions written out: initialisation, layouts, epsilons.

Frameworks disagree here without saying so, so nothing is left to a default.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

Initializer = Callable[[jax.Array, tuple[int, ...]], jax.Array]


def uniform_fan_in(fan_in: int) -> Initializer:
    """U(−1/√fan_in, 1/√fan_in): what torch draws for Linear and Conv2d, weights and biases alike."""
    bound = fan_in**-0.5
    return lambda key, shape: jax.random.uniform(key, shape, jnp.float32, -bound, bound)


def standard_normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """N(0, 1)."""
    return jax.random.normal(key, shape, jnp.float32)


class Linear(nnx.Module):
    """`y = x · kernel + bias`; the kernel is `(in, out)`, the transpose of torch's weight."""

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True, rngs: nnx.Rngs) -> None:
        initial = uniform_fan_in(in_features)
        self.kernel = nnx.Param(initial(rngs.params(), (in_features, out_features)))
        self.bias = nnx.Param(initial(rngs.params(), (out_features,))) if bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(…, in)` → `(…, out)`."""
        y = x @ self.kernel[...]
        return y if self.bias is None else y + self.bias[...]


class Conv2d(nnx.Module):
    """A convolution of `(b, C, H, W)` padded alike on all four sides; the kernel is `(h, w, in, out)`.

    Padding is a number of pixels: Flax's `SAME` pads a strided convolution differently from torch's `padding=1`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, size: int, *, stride: int = 1, padding: int = 0, rngs: nnx.Rngs
    ) -> None:
        initial = uniform_fan_in(in_channels * size * size)
        self.kernel = nnx.Param(initial(rngs.params(), (size, size, in_channels, out_channels)))
        self.bias = nnx.Param(initial(rngs.params(), (out_channels,)))
        self.stride = stride
        self.padding = padding

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(b, C_in, H, W)` → `(b, C_out, H', W')`."""
        y = jax.lax.conv_general_dilated(
            x,
            self.kernel[...],
            window_strides=(self.stride, self.stride),
            padding=((self.padding, self.padding), (self.padding, self.padding)),
            dimension_numbers=("NCHW", "HWIO", "NCHW"),
        )
        return y + self.bias[...][:, None, None]


def standardize(x: jax.Array, axes: tuple[int, ...], eps: float) -> jax.Array:
    """`(x − mean) / √(variance + eps)` over `axes`, with the biased variance as the mean of squared differences."""
    centred = x - x.mean(axis=axes, keepdims=True)
    return centred / jnp.sqrt(jnp.square(centred).mean(axis=axes, keepdims=True) + eps)


class LayerNorm(nnx.Module):
    """Over the last axis, then `scale` and `bias` where `affine`; eps inside the root (Ba et al. 2016)."""

    def __init__(self, size: int, *, eps: float, affine: bool = True, bias: bool = True) -> None:
        self.scale = nnx.Param(jnp.ones(size, jnp.float32)) if affine else None
        self.bias = nnx.Param(jnp.zeros(size, jnp.float32)) if affine and bias else None
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(…, D)` → `(…, D)`."""
        y = standardize(x, (-1,), self.eps)
        if self.scale is not None:
            y = y * self.scale[...]
        return y if self.bias is None else y + self.bias[...]


class GroupNorm(nnx.Module):
    """Over groups of neighbouring channels and all pixels, then `scale` and `bias` for each channel (Wu & He 2018)."""

    def __init__(self, groups: int, channels: int, *, eps: float) -> None:
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(channels, jnp.float32))
        self.groups = groups
        self.eps = eps

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(b, C, H, W)` → `(b, C, H, W)`."""
        b, c, h, w = x.shape
        y = standardize(x.reshape(b, self.groups, c // self.groups, h, w), (2, 3, 4), self.eps).reshape(x.shape)
        return y * self.scale[...][:, None, None] + self.bias[...][:, None, None]


def dropout(rate: float, rngs: nnx.Rngs) -> nnx.Dropout:
    """Zeroes with probability `rate` and divides by 1 − rate, in training; without random state where `rate` is 0."""
    return nnx.Dropout(rate, rngs=rngs if rate else None)


def silu(x: jax.Array) -> jax.Array:
    """`x · sigmoid(x)`."""
    return x * jax.nn.sigmoid(x)


def gelu(x: jax.Array) -> jax.Array:
    """The tanh form, `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks & Gimpel 2016), not the erf form."""
    return 0.5 * x * (1.0 + jnp.tanh((2.0 / jnp.pi) ** 0.5 * (x + 0.044715 * x**3)))
