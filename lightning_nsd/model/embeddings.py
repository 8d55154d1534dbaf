"""Timestep features, fixed and patch positions."""

import math

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn

from lightning_nsd.tables.constant import Constant

TIMESTEP_FEATURES = 256


class TimestepFeatures(nn.Module):
    """`[cos, sin]` of `t · 10000^(-2k/F)`, k = 0 … F/2 − 1 (Vaswani et al. 2017, arXiv 1706.03762, section 3.5).

    Of an odd number F of features the last is 0.
    """

    def __init__(self, num_features: int = TIMESTEP_FEATURES) -> None:
        super().__init__()
        half = num_features // 2
        self.is_odd = num_features % 2 == 1
        self.frequencies = Constant(np.exp(-math.log(10000.0) * np.arange(half) / half))

    def forward(self, t: Int[Tensor, " b"], like: Float[Tensor, "..."]) -> Float[Tensor, "b F"]:
        """In the dtype of `like`."""
        angles = t[:, None].to(like.dtype) * self.frequencies.like(like)  # (b, F // 2)
        parts = [angles.cos(), angles.sin()]
        return torch.cat([*parts, torch.zeros_like(angles[:, :1])] if self.is_odd else parts, dim=-1)  # (b, F)


class TimestepEmbedding(nn.Module):
    """Features → Linear → SiLU → Linear (DiT, arXiv 2212.09748, section 3.2)."""

    def __init__(self, hidden_size: int, num_features: int = TIMESTEP_FEATURES) -> None:
        super().__init__()
        self.features = TimestepFeatures(num_features)
        self.linear_1 = nn.Linear(num_features, hidden_size)
        self.linear_2 = nn.Linear(hidden_size, hidden_size)
        self.act = nn.SiLU()

    def forward(self, t: Int[Tensor, " b"]) -> Float[Tensor, "b D"]:
        features = self.features(t, like=self.linear_1.weight)
        return self.linear_2(self.act(self.linear_1(features)))


def sincos_positions(hidden_size: int, grid_size: int) -> Float64[np.ndarray, "{grid_size}**2 {hidden_size}"]:
    """Fixed 2-D positions of a square grid, row by row.

    The first half of the features encodes the column, the second half the row, each as `[sin, cos]`
    (He et al. 2022, arXiv 2111.06377, as used by DiT).
    """
    quarter = hidden_size // 4
    frequencies = 10000.0 ** (-np.arange(quarter) / quarter)
    rows, columns = np.meshgrid(np.arange(grid_size), np.arange(grid_size), indexing="ij")

    def encode(position: np.ndarray) -> np.ndarray:
        angles = position.reshape(-1, 1) * frequencies  # (grid_size², quarter)
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

    return np.concatenate([encode(columns), encode(rows)], axis=1)
