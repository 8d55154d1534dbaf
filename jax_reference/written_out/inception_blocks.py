"""Building blocks of InceptionV3 (Szegedy et al. 2015, arXiv 1512.00567), in the variant whose features FID compares.

Every block runs several branches side by side and puts their channels behind one another. Attributes are named as in
torch-fidelity's network, so that weights map by key.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from jax_reference.written_out.layers import uniform_fan_in

BATCH_NORM_EPS = 1e-3
Window = tuple[int, int]


class Conv2d(nnx.Module):
    """A convolution of `(b, C, H, W)` without bias; a number of pixels as padding, which may differ by axis."""

    def __init__(
        self, in_channels: int, out_channels: int, window: Window, *, stride: int, padding: Window, rngs: nnx.Rngs
    ) -> None:
        initial = uniform_fan_in(in_channels * window[0] * window[1])
        self.kernel = nnx.Param(initial(rngs.params(), (*window, in_channels, out_channels)))
        self.stride = stride
        self.padding = padding

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(b, C_in, H, W)` → `(b, C_out, H', W')`."""
        return jax.lax.conv_general_dilated(
            x,
            self.kernel[...],
            window_strides=(self.stride, self.stride),
            padding=[(pixels, pixels) for pixels in self.padding],
            dimension_numbers=("NCHW", "HWIO", "NCHW"),
        )


class BatchNorm2d(nnx.Module):
    """`(x − mean) / √(var + eps) · scale + bias` with stored statistics (Ioffe & Szegedy 2015), never those of x."""

    def __init__(self, channels: int) -> None:
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(channels, jnp.float32))
        self.mean = nnx.BatchStat(jnp.zeros(channels, jnp.float32))
        self.var = nnx.BatchStat(jnp.ones(channels, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(b, C, H, W)` → `(b, C, H, W)`."""
        mean, var, scale, bias = (v[...][:, None, None] for v in (self.mean, self.var, self.scale, self.bias))
        return (x - mean) / jnp.sqrt(var + BATCH_NORM_EPS) * scale + bias


class BasicConv2d(nnx.Module):
    """Convolution → BatchNorm → ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        window: Window,
        *,
        stride: int = 1,
        padding: Window = (0, 0),
        rngs: nnx.Rngs,
    ) -> None:
        self.conv = Conv2d(in_channels, out_channels, window, stride=stride, padding=padding, rngs=rngs)
        self.bn = BatchNorm2d(out_channels)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(b, C_in, H, W)` → `(b, C_out, H', W')`."""
        return jnp.maximum(self.bn(self.conv(x)), 0)


def same(in_channels: int, out_channels: int, height: int, width: int, rngs: nnx.Rngs) -> BasicConv2d:
    """A `BasicConv2d` of an odd window that keeps height and width."""
    return BasicConv2d(in_channels, out_channels, (height, width), padding=(height // 2, width // 2), rngs=rngs)


def halving(in_channels: int, out_channels: int, rngs: nnx.Rngs) -> BasicConv2d:
    """A `BasicConv2d` of 3 × 3 pixels with stride 2 and without padding."""
    return BasicConv2d(in_channels, out_channels, (3, 3), stride=2, rngs=rngs)


def max_pool(x: jax.Array, stride: int, padding: int = 0) -> jax.Array:
    """The largest of 3 × 3 pixels, `(b, C, H, W)` → `(b, C, H', W')`; padding never counts."""
    pad = (padding, padding)
    return jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, 1, 3, 3), (1, 1, stride, stride), [(0, 0)] * 2 + [pad] * 2
    )


def average_pool(x: jax.Array) -> jax.Array:
    """The mean of those of 3 × 3 pixels that lie inside, `(b, C, H, W)` → `(b, C, H, W)`.

    As TensorFlow has it: what lies outside the image is neither summed nor counted.
    """

    def total(values: jax.Array) -> jax.Array:
        return jax.lax.reduce_window(values, 0.0, jax.lax.add, (1, 1, 3, 3), (1, 1, 1, 1), "SAME")

    return total(x) / total(jnp.ones_like(x[:1, :1]))


def side_by_side(*branches: jax.Array) -> jax.Array:
    """`(b, C_i, H, W)` → `(b, ΣC_i, H, W)`."""
    return jnp.concatenate(branches, axis=1)


class InceptionA(nnx.Module):
    """1×1, 5×5, 3×3 twice, and a pooled branch of `pool_features` channels (the paper's figure 5)."""

    def __init__(self, in_channels: int, pool_features: int, *, rngs: nnx.Rngs) -> None:
        self.branch1x1 = same(in_channels, 64, 1, 1, rngs)
        self.branch5x5_1 = same(in_channels, 48, 1, 1, rngs)
        self.branch5x5_2 = same(48, 64, 5, 5, rngs)
        self.branch3x3dbl_1 = same(in_channels, 64, 1, 1, rngs)
        self.branch3x3dbl_2 = same(64, 96, 3, 3, rngs)
        self.branch3x3dbl_3 = same(96, 96, 3, 3, rngs)
        self.branch_pool = same(in_channels, pool_features, 1, 1, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(b, C, H, W)` → `(b, 224 + pool_features, H, W)`."""
        return side_by_side(
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.branch_pool(average_pool(x)),
        )


class InceptionB(nnx.Module):
    """Half the height and width by two strided branches and a pooled one (the paper's figure 10)."""

    def __init__(self, in_channels: int, *, rngs: nnx.Rngs) -> None:
        self.branch3x3 = halving(in_channels, 384, rngs)
        self.branch3x3dbl_1 = same(in_channels, 64, 1, 1, rngs)
        self.branch3x3dbl_2 = same(64, 96, 3, 3, rngs)
        self.branch3x3dbl_3 = halving(96, 96, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(b, C, H, W)` → `(b, 480 + C, H/2, W/2)`."""
        return side_by_side(
            self.branch3x3(x),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            max_pool(x, stride=2),
        )


class InceptionC(nnx.Module):
    """7×7 windows as rows and columns by turns, `channels_7x7` in between (the paper's figure 6)."""

    def __init__(self, in_channels: int, channels_7x7: int, *, rngs: nnx.Rngs) -> None:
        c = channels_7x7
        self.branch1x1 = same(in_channels, 192, 1, 1, rngs)
        self.branch7x7_1 = same(in_channels, c, 1, 1, rngs)
        self.branch7x7_2 = same(c, c, 1, 7, rngs)
        self.branch7x7_3 = same(c, 192, 7, 1, rngs)
        self.branch7x7dbl_1 = same(in_channels, c, 1, 1, rngs)
        self.branch7x7dbl_2 = same(c, c, 7, 1, rngs)
        self.branch7x7dbl_3 = same(c, c, 1, 7, rngs)
        self.branch7x7dbl_4 = same(c, c, 7, 1, rngs)
        self.branch7x7dbl_5 = same(c, 192, 1, 7, rngs)
        self.branch_pool = same(in_channels, 192, 1, 1, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(b, C, H, W)` → `(b, 768, H, W)`."""
        once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return side_by_side(self.branch1x1(x), once, twice, self.branch_pool(average_pool(x)))


class InceptionD(nnx.Module):
    """Half the height and width again, one branch by way of 7×7."""

    def __init__(self, in_channels: int, *, rngs: nnx.Rngs) -> None:
        self.branch3x3_1 = same(in_channels, 192, 1, 1, rngs)
        self.branch3x3_2 = halving(192, 320, rngs)
        self.branch7x7x3_1 = same(in_channels, 192, 1, 1, rngs)
        self.branch7x7x3_2 = same(192, 192, 1, 7, rngs)
        self.branch7x7x3_3 = same(192, 192, 7, 1, rngs)
        self.branch7x7x3_4 = halving(192, 192, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(b, C, H, W)` → `(b, 512 + C, H/2, W/2)`."""
        return side_by_side(
            self.branch3x3_2(self.branch3x3_1(x)),
            self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))),
            max_pool(x, stride=2),
        )


class InceptionE(nnx.Module):
    """3×3 windows split into a row and a column side by side (the paper's figure 7).

    Args:
        max_pooled: the pooled branch takes the largest pixel, not the mean. So it is in the last block of the network
            that FID was first computed with, against the paper.
    """

    def __init__(self, in_channels: int, max_pooled: bool, *, rngs: nnx.Rngs) -> None:
        self.branch1x1 = same(in_channels, 320, 1, 1, rngs)
        self.branch3x3_1 = same(in_channels, 384, 1, 1, rngs)
        self.branch3x3_2a = same(384, 384, 1, 3, rngs)
        self.branch3x3_2b = same(384, 384, 3, 1, rngs)
        self.branch3x3dbl_1 = same(in_channels, 448, 1, 1, rngs)
        self.branch3x3dbl_2 = same(448, 384, 3, 3, rngs)
        self.branch3x3dbl_3a = same(384, 384, 1, 3, rngs)
        self.branch3x3dbl_3b = same(384, 384, 3, 1, rngs)
        self.branch_pool = same(in_channels, 192, 1, 1, rngs)
        self.max_pooled = max_pooled

    def __call__(self, x: jax.Array) -> jax.Array:
        """`(b, C, H, W)` → `(b, 2048, H, W)`."""
        once = self.branch3x3_1(x)
        twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return side_by_side(
            self.branch1x1(x),
            self.branch3x3_2a(once),
            self.branch3x3_2b(once),
            self.branch3x3dbl_3a(twice),
            self.branch3x3dbl_3b(twice),
            self.branch_pool(max_pool(x, stride=1, padding=1) if self.max_pooled else average_pool(x)),
        )
