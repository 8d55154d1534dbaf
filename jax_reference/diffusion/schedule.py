"""Noise schedules and every table that follows from them, in float64."""

from typing import Literal

import numpy as np
from jaxtyping import Float64, Int

ScheduleName = Literal["linear", "cosine"]


def linear_betas(num_steps: int) -> Float64[np.ndarray, " {num_steps}"]:
    """beta from 1e-4 to 0.02, both times 1000/T (Ho et al. 2020, arXiv 2006.11239, section 4)."""
    first, last = 0.1 / num_steps, 20.0 / num_steps
    return first + (last - first) * np.arange(num_steps) / max(num_steps - 1, 1)


def cosine_betas(num_steps: int, max_beta: float = 0.999) -> Float64[np.ndarray, " {num_steps}"]:
    """beta_t = min(1 − abar(t+1)/abar(t), 0.999).

    abar(t) = cos²((t/T + 0.008) / 1.008 · π/2) (Nichol & Dhariwal 2021, arXiv 2102.09672, equation 17).
    """
    edges = np.arange(num_steps + 1) / num_steps
    alpha_bar = np.cos((edges + 0.008) / 1.008 * np.pi / 2) ** 2  # (T + 1,)
    return np.clip(1.0 - alpha_bar[1:] / alpha_bar[:-1], None, max_beta)


def make_betas(schedule: ScheduleName, num_steps: int) -> Float64[np.ndarray, " {num_steps}"]:
    """The betas of a named schedule."""
    return {"linear": linear_betas, "cosine": cosine_betas}[schedule](num_steps)


class Schedule:
    """Tables over the timesteps, each float64 `(T,)` (Ho et al. 2020, equations 4 to 7).

    Attributes:
        betas: variance added from x_{t-1} to x_t.
        log_betas: log beta_t.
        alpha_bar: ∏ (1 − beta_s), s ≤ t.
        alpha_bar_prev: alpha_bar of the step before; 1 before the first.
        half_log_snr: λ = log(α/σ) with α² = alpha_bar and σ² = 1 − alpha_bar.
        posterior_variance: of q(x_{t-1} | x_t, x_0); 0 at t = 0.
        posterior_log_variance_clipped: its log, with that of t = 1 in place of log 0 at t = 0.
        large_log_variance: log beta_t, with the posterior variance of t = 1 in place of beta_0.
        posterior_mean_x_0: weight of x_0 in the mean of q(x_{t-1} | x_t, x_0).
        posterior_mean_x_t: weight of x_t there.

    Raises:
        ValueError: a beta outside (0, 1].
    """

    def __init__(self, betas: Float64[np.ndarray, " T"]) -> None:
        if not len(betas) or not np.all((betas > 0) & (betas <= 1)):
            raise ValueError("every beta must lie in (0, 1]; the linear schedule needs at least 20 steps.")
        alphas = 1.0 - betas
        self.betas = betas
        self.log_betas = np.log(betas)
        self.alpha_bar = np.cumprod(alphas)
        self.alpha_bar_prev = np.concatenate([[1.0], self.alpha_bar[:-1]])

        with np.errstate(divide="ignore"):
            self.half_log_snr = np.log(np.sqrt(self.alpha_bar)) - np.log(np.sqrt(1.0 - self.alpha_bar))

        noise, noise_prev = 1.0 - self.alpha_bar, 1.0 - self.alpha_bar_prev
        self.posterior_variance = noise_prev / noise * betas  # equation 7
        self.posterior_mean_x_0 = np.sqrt(self.alpha_bar_prev) * betas / noise
        self.posterior_mean_x_t = np.sqrt(alphas) * noise_prev / noise

        clipped = self.posterior_variance.copy()
        clipped[0] = clipped[1] if len(betas) > 1 else 1e-20
        self.posterior_log_variance_clipped = np.log(clipped)
        self.large_log_variance = self.log_betas.copy()
        self.large_log_variance[0] = np.log(clipped[0])

    def __len__(self) -> int:
        return len(self.betas)

    def subset(self, timesteps: Int[np.ndarray, " S"]) -> "Schedule":
        """The schedule of a chain that visits only `timesteps` (increasing).

        alpha_bar stays what it was, so beta of a visited step is 1 − abar_t / abar of the visited step before.
        """
        alpha_bar = self.alpha_bar[timesteps]
        before = np.concatenate([[1.0], alpha_bar[:-1]])
        return Schedule(1.0 - alpha_bar / before)
