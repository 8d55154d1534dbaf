"""Noise schedules and every table that follows from them, in float64."""

import math
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int
from lightning.pytorch.utilities import rank_zero_warn

from lightning_nsd.errors import UserError

ScheduleName = Literal["linear", "cosine"]


def linear_betas(num_steps: int) -> Float64[np.ndarray, " {num_steps}"]:
    """beta from 1e-4 to 0.02, both times 1000/T (Ho et al. 2020, arXiv 2006.11239, section 4)."""
    scale = 1000 / num_steps
    return np.linspace(scale * 1e-4, scale * 0.02, num_steps, dtype=np.float64)


def cosine_betas(num_steps: int, max_beta: float = 0.999) -> Float64[np.ndarray, " {num_steps}"]:
    """beta_t = min(1 − abar(t+1)/abar(t), 0.999).

    abar(t) = cos²((t/T + 0.008) / 1.008 · π/2) (Nichol & Dhariwal 2021, arXiv 2102.09672, equation 17).
    """

    def alpha_bar(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [1 - alpha_bar((i + 1) / num_steps) / alpha_bar(i / num_steps) for i in range(num_steps)]
    return np.minimum(np.array(betas, dtype=np.float64), max_beta)


def make_betas(schedule: ScheduleName, num_steps: int) -> Float64[np.ndarray, " {num_steps}"]:
    """The betas of a named schedule."""
    return linear_betas(num_steps) if schedule == "linear" else cosine_betas(num_steps)


class Schedule:
    """Tables over the timesteps (Ho et al. 2020, equations 4 to 7).

    Raises:
        UserError: a beta outside (0, 1].
    """

    def __init__(self, betas: Float64[np.ndarray, " T"]) -> None:
        if betas.size == 0 or not (betas > 0).all() or not (betas <= 1).all():
            raise UserError(
                f"The noise schedule has a beta of {betas.max() if betas.size else 'nothing'}; all must lie in (0, 1]. "
                "The linear schedule needs at least 20 steps (diffusion.num_steps)."
            )
        if (betas == 1).any():
            rank_zero_warn(
                f"The noise schedule reaches beta = 1 at t = {int(np.argmax(betas == 1))}: nothing of the image is "
                "left there, and a prediction of eps says nothing about x_0."
            )
        self.betas = betas

    def __len__(self) -> int:
        return len(self.betas)

    @cached_property
    def log_betas(self) -> Float64[np.ndarray, " T"]:
        """log beta_t."""
        return np.log(self.betas)

    @cached_property
    def alpha_bar(self) -> Float64[np.ndarray, " T"]:
        """The product of 1 − beta up to t."""
        return np.cumprod(1.0 - self.betas)

    @cached_property
    def alpha_bar_prev(self) -> Float64[np.ndarray, " T"]:
        """alpha_bar of the step before; 1 before the first."""
        return np.append(1.0, self.alpha_bar[:-1])

    @cached_property
    def half_log_snr(self) -> Float64[np.ndarray, " T"]:
        """λ = log(α/σ) with α² = alpha_bar and σ² = 1 − alpha_bar, which solvers step in; falls with t."""
        with np.errstate(divide="ignore"):  # −∞ where nothing is left of the image
            return np.log(self.alpha_bar / (1.0 - self.alpha_bar)) / 2

    @cached_property
    def posterior_variance(self) -> Float64[np.ndarray, " T"]:
        """Variance of q(x_{t-1} | x_t, x_0), equation 7; 0 at t = 0."""
        return self.betas * (1.0 - self.alpha_bar_prev) / (1.0 - self.alpha_bar)

    @cached_property
    def posterior_log_variance_clipped(self) -> Float64[np.ndarray, " T"]:
        """log of the posterior variance, with that of t = 1 in place of log 0 at t = 0."""
        return np.log(self._with_second_first(self.posterior_variance))

    @cached_property
    def large_log_variance(self) -> Float64[np.ndarray, " T"]:
        """log beta_t, with the posterior variance of t = 1 in place of beta_0."""
        return np.log(np.append(self._with_second_first(self.posterior_variance)[:1], self.betas[1:]))

    @cached_property
    def posterior_mean_x_0(self) -> Float64[np.ndarray, " T"]:
        """Weight of x_0 in the mean of q(x_{t-1} | x_t, x_0), equation 7."""
        return self.betas * np.sqrt(self.alpha_bar_prev) / (1.0 - self.alpha_bar)

    @cached_property
    def posterior_mean_x_t(self) -> Float64[np.ndarray, " T"]:
        """Weight of x_t in the mean of q(x_{t-1} | x_t, x_0), equation 7."""
        return (1.0 - self.alpha_bar_prev) * np.sqrt(1.0 - self.betas) / (1.0 - self.alpha_bar)

    def subset(self, timesteps: Int[np.ndarray, " S"]) -> "Schedule":
        """The schedule of a chain that visits only `timesteps` (increasing).

        Its alpha_bar_prev is that of the previous timestep *of the subset*.
        """
        alpha_bar = self.alpha_bar[np.asarray(timesteps)]
        return Schedule(1.0 - alpha_bar / np.append(1.0, alpha_bar[:-1]))

    @staticmethod
    def _with_second_first(table: np.ndarray) -> np.ndarray:
        return np.append(table[1:2], table[1:]) if len(table) > 1 else np.maximum(table, 1e-20)
