"""A small network with one of most things that ports get wrong: the torch side."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """Sines and cosines of a time, and two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.linear_1 = nn.Linear(width, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, t: Tensor) -> Tensor:
        half = self.width // 2
        frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=t.dtype) / half)
        angles = t[:, None] * frequencies
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.linear_2(F.silu(self.linear_1(features)))


class ConvBlock(nn.Module):
    """Two convolutions with a time in between."""

    def __init__(self, c_in: int, c_out: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.norm_1 = nn.GroupNorm(4, c_in)
        self.conv_1 = nn.Conv2d(c_in, c_out, 3, stride, padding=1)
        self.modulation = nn.Linear(width, 2 * c_out)
        self.norm_2 = nn.GroupNorm(4, c_out)
        self.conv_2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.skip = nn.Conv2d(c_in, c_out, 1, stride)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv_1(F.silu(self.norm_1(x)))
        scale, shift = self.modulation(time)[:, :, None, None].chunk(2, dim=1)
        h = self.norm_2(h) * (1 + scale) + shift
        return self.skip(x) + self.conv_2(F.silu(h))


class Attention(nn.Module):
    """Self-attention of several heads, with one projection for q, k and v."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.num_heads, d // self.num_heads).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))


class Mlp(nn.Module):
    """Two layers with a GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(width, 2 * width)
        self.linear_2 = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(F.gelu(self.linear_1(x), approximate="tanh"))


class Block(nn.Module):
    """A transformer's block, normed in front."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, num_heads)
        self.norm_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class Standardise(nn.Module):
    """Every image to mean 0 and deviation 1, by the unbiased variance."""

    def forward(self, x: Tensor) -> Tensor:
        dims = (1, 2, 3)
        return (x - x.mean(dims, keepdim=True)) / (x.var(dims, keepdim=True) + 1e-5).sqrt()


class Upsample(nn.Module):
    """Twice the size by the nearest neighbour, and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Network(nn.Module):
    """Images and times to images, and a vector of ten."""

    def __init__(self, channels: int = 8, num_heads: int = 2, num_classes: int = 10) -> None:
        super().__init__()
        self.standardise = Standardise()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.time = TimeEmbedding(channels)
        self.down = ConvBlock(channels, 2 * channels, channels, stride=2)
        self.position = nn.Parameter(torch.zeros(1, 16, 2 * channels))
        self.blocks = nn.ModuleList(Block(2 * channels, num_heads) for _ in range(2))
        self.up = Upsample(2 * channels)
        self.last = nn.Conv2d(2 * channels, 3, 3, padding=1)
        self.head = nn.Linear(2 * channels, num_classes)

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        time = self.time(t)
        x = F.relu(self.norm(self.stem(self.standardise(x))))
        x = self.down(x, time)  # (b, C, 4, 4)
        b, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2) + self.position  # (b, 16, C)
        for block in self.blocks:
            tokens = block(tokens)
        x = tokens.transpose(1, 2).reshape(b, c, h, w)
        return self.last(self.up(x)), self.head(tokens.mean(1))
