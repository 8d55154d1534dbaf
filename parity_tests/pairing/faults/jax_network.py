"""A small network with one of most things that ports get wrong: the JAX side, images with channels last."""

import jax
import jax.numpy as jnp
from flax import nnx


def scaled_dot_product_attention(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """Of heads `(b, n, h, d)`."""
    logits = jnp.einsum("bnhd,bmhd->bhnm", q, k) / jnp.sqrt(q.shape[-1])
    return jnp.einsum("bhnm,bmhd->bnhd", jax.nn.softmax(logits, axis=-1), v)


class TimeEmbedding(nnx.Module):
    """Sines and cosines of a time, and two layers."""

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.width = width
        self.linear_1 = nnx.Linear(width, width, rngs=rngs)
        self.linear_2 = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, t: jax.Array) -> jax.Array:
        half = self.width // 2
        frequencies = jnp.exp(-jnp.log(10000.0) * jnp.arange(half) / half)
        angles = t[:, None] * frequencies
        features = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)
        return self.linear_2(jax.nn.silu(self.linear_1(features)))


class ConvBlock(nnx.Module):
    """Two convolutions with a time in between."""

    def __init__(self, c_in: int, c_out: int, width: int, stride: int, rngs: nnx.Rngs) -> None:
        pad = [(1, 1), (1, 1)]
        self.norm_1 = nnx.GroupNorm(c_in, 4, epsilon=1e-5, rngs=rngs)
        self.conv_1 = nnx.Conv(c_in, c_out, (3, 3), stride, padding=pad, rngs=rngs)
        self.modulation = nnx.Linear(width, 2 * c_out, rngs=rngs)
        self.norm_2 = nnx.GroupNorm(c_out, 4, epsilon=1e-5, rngs=rngs)
        self.conv_2 = nnx.Conv(c_out, c_out, (3, 3), padding=pad, rngs=rngs)
        self.skip = nnx.Conv(c_in, c_out, (1, 1), stride, padding="VALID", rngs=rngs)

    def __call__(self, x: jax.Array, time: jax.Array) -> jax.Array:
        h = self.conv_1(jax.nn.silu(self.norm_1(x)))
        scale, shift = jnp.split(self.modulation(time)[:, None, None, :], 2, axis=-1)
        h = self.norm_2(h) * (1 + scale) + shift
        return self.skip(x) + self.conv_2(jax.nn.silu(h))


class Attention(nnx.Module):
    """Self-attention of several heads, with projections of their own for q, k and v."""

    def __init__(self, width: int, num_heads: int, rngs: nnx.Rngs) -> None:
        self.num_heads = num_heads
        self.query = nnx.Linear(width, width, rngs=rngs)
        self.key = nnx.Linear(width, width, rngs=rngs)
        self.value = nnx.Linear(width, width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        b, n, d = x.shape
        heads = (b, n, self.num_heads, d // self.num_heads)
        q, k, v = (layer(x).reshape(heads) for layer in (self.query, self.key, self.value))
        return self.out(scaled_dot_product_attention(q, k, v).reshape(b, n, d))


class Mlp(nnx.Module):
    """Two layers with a GELU."""

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.linear_1 = nnx.Linear(width, 2 * width, rngs=rngs)
        self.linear_2 = nnx.Linear(2 * width, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.linear_2(jax.nn.gelu(self.linear_1(x), approximate=True))


class Block(nnx.Module):
    """A transformer's block, normed in front."""

    def __init__(self, width: int, num_heads: int, rngs: nnx.Rngs) -> None:
        self.norm_1 = nnx.LayerNorm(width, epsilon=1e-6, rngs=rngs)
        self.attention = Attention(width, num_heads, rngs=rngs)
        self.norm_2 = nnx.LayerNorm(width, epsilon=1e-6, rngs=rngs)
        self.mlp = Mlp(width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class Standardise(nnx.Module):
    """Every image to mean 0 and deviation 1, by the unbiased variance."""

    def __call__(self, x: jax.Array) -> jax.Array:
        axes = (1, 2, 3)
        return (x - x.mean(axes, keepdims=True)) / jnp.sqrt(x.var(axes, keepdims=True, ddof=1) + 1e-5)


class Upsample(nnx.Module):
    """Twice the size by the nearest neighbour, and a convolution."""

    def __init__(self, channels: int, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(channels, channels, (3, 3), padding=[(1, 1), (1, 1)], rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        b, h, w, c = x.shape
        return self.conv(jax.image.resize(x, (b, 2 * h, 2 * w, c), "nearest"))


class Network(nnx.Module):
    """Images `(b, h, w, 3)` and times to images, and a vector of ten."""

    def __init__(self, rngs: nnx.Rngs, channels: int = 8, num_heads: int = 2, num_classes: int = 10) -> None:
        pad = [(1, 1), (1, 1)]
        self.standardise = Standardise()
        self.stem = nnx.Conv(3, channels, (3, 3), padding=pad, rngs=rngs)
        self.norm = nnx.BatchNorm(channels, epsilon=1e-5, rngs=rngs)
        self.time = TimeEmbedding(channels, rngs=rngs)
        self.down = ConvBlock(channels, 2 * channels, channels, 2, rngs=rngs)
        self.position = nnx.Param(jnp.zeros((1, 16, 2 * channels)))
        self.blocks = nnx.List([Block(2 * channels, num_heads, rngs=rngs) for _ in range(2)])
        self.up = Upsample(2 * channels, rngs=rngs)
        self.last = nnx.Conv(2 * channels, 3, (3, 3), padding=pad, rngs=rngs)
        self.head = nnx.Linear(2 * channels, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        time = self.time(t)
        x = jax.nn.relu(self.norm(self.stem(self.standardise(x))))
        x = self.down(x, time)  # (b, 4, 4, C)
        b, h, w, c = x.shape
        tokens = x.reshape(b, h * w, c) + self.position  # (b, 16, C)
        for block in self.blocks:
            tokens = block(tokens)
        x = tokens.reshape(b, h, w, c)
        return self.last(self.up(x)), self.head(tokens.mean(1))
