"""Gaussian diffusion: noising, and what a network's output says about x_0 and about x_{t-1}."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from lightning_nsd.diffusion.schedule import Schedule, ScheduleName, make_betas
from lightning_nsd.settings.numbers import Timesteps, Weight, bounded
from lightning_nsd.tables.timestep_tables import TimestepTables

Prediction = Literal["eps", "x_0", "v"]
Variance = Literal["fixed_large", "fixed_small", "learned"]


class Gaussian(NamedTuple):
    """Mean and log variance of a normal distribution."""

    mean: Float[Tensor, "b C H W"]
    log_variance: Float[Tensor, " b #C #H #W"]


def learned_log_variance(
    v: Float[Tensor, "b C H W"],
    log_beta: Float[Tensor, "b 1 1 1"] | Float[Tensor, ""],
    log_posterior: Float[Tensor, "b 1 1 1"] | Float[Tensor, ""],
) -> Float[Tensor, "b C H W"]:
    """f log beta + (1−f) log posterior, f = (v+1)/2 (Nichol & Dhariwal 2021, arXiv 2102.09672, equation 15).

    Args:
        v: the second half of a network's output.
        log_beta: of the timestep.
        log_posterior: log variance of q(x_{t-1} | x_t, x_0) there.
    """
    f = (v + 1) / 2
    return f * log_beta + (1 - f) * log_posterior


@bounded("model.diffusion")
@dataclass(frozen=True)
class GaussianDiffusion:
    """A diffusion process and what its network predicts.

    Attributes:
        num_steps: T.
        schedule: `linear` or `cosine`.
        prediction: the network's output is eps, x_0, or v = √abar eps − √(1−abar) x_0
            (Salimans & Ho 2022, arXiv 2202.00512).
        variance: of p(x_{t-1} | x_t): `fixed_large` (beta), `fixed_small` (posterior), or `learned`, for which the
            network gives 2C channels.
        vlb_weight: weight of the variational bound, in bits per dimension, with a learned variance.
    """

    num_steps: Timesteps = 1000
    schedule: ScheduleName = "linear"
    prediction: Prediction = "eps"
    variance: Variance = "fixed_large"
    vlb_weight: Weight = 1.0

    def __post_init__(self) -> None:
        _ = self.tables  # an impossible schedule is an error at once

    @cached_property
    def tables(self) -> TimestepTables[Schedule]:
        """The tables of the full schedule."""
        return TimestepTables(Schedule(make_betas(self.schedule, self.num_steps)))

    def out_channels(self, channels: int) -> int:
        """Channels of the network's output for images of `channels`."""
        return 2 * channels if self.variance == "learned" else channels

    def q_sample(
        self, x_0: Float[Tensor, "b C H W"], t: Int[Tensor, " b"], noise: Float[Tensor, "b C H W"]
    ) -> Float[Tensor, "b C H W"]:
        """x_t = √abar x_0 + √(1−abar) eps (Ho et al. 2020, equation 4)."""
        alpha_bar = self.tables.at("alpha_bar", t, x_0)
        return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise

    def target(
        self, x_0: Float[Tensor, "b C H W"], t: Int[Tensor, " b"], noise: Float[Tensor, "b C H W"]
    ) -> Float[Tensor, "b C H W"]:
        """What the network should predict."""
        if self.prediction == "eps":
            return noise
        if self.prediction == "x_0":
            return x_0
        alpha_bar = self.tables.at("alpha_bar", t, x_0)
        return alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x_0

    def predict_x_0(
        self,
        x_t: Float[Tensor, "b C H W"],
        prediction: Float[Tensor, "b C H W"],
        alpha_bar: Float[Tensor, "b 1 1 1"] | Float[Tensor, ""],
    ) -> Float[Tensor, "b C H W"]:
        """x_0 from the network's prediction."""
        if self.prediction == "eps":
            return (x_t - (1 - alpha_bar).sqrt() * prediction) / alpha_bar.sqrt()
        if self.prediction == "x_0":
            return prediction
        return alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * prediction

    def split(
        self, output: Float[Tensor, "b C_out H W"]
    ) -> tuple[Float[Tensor, "b C H W"], Float[Tensor, "b C H W"] | None]:
        """A network's output as prediction and, with a learned variance, v."""
        if self.variance != "learned":
            return output, None
        prediction, v = output.chunk(2, dim=1)
        return prediction, v

    def log_variance(
        self,
        v: Float[Tensor, "b C H W"] | None,
        log_beta: Float[Tensor, "b 1 1 1"],
        posterior: Float[Tensor, "b 1 1 1"],
        large: Float[Tensor, "b 1 1 1"],
    ) -> Float[Tensor, " b #C #H #W"]:
        """Log variance of p(x_{t-1} | x_t): the network's, or that of the two fixed ones which was chosen."""
        if v is not None:
            return learned_log_variance(v, log_beta, posterior)
        return large if self.variance == "fixed_large" else posterior

    def posterior(self, x_0: Float[Tensor, "b C H W"], x_t: Float[Tensor, "b C H W"], t: Int[Tensor, " b"]) -> Gaussian:
        """q(x_{t-1} | x_t, x_0) (Ho et al. 2020, equation 6)."""
        at = self.tables.at
        mean = at("posterior_mean_x_0", t, x_t) * x_0 + at("posterior_mean_x_t", t, x_t) * x_t
        return Gaussian(mean, at("posterior_log_variance_clipped", t, x_t))

    def p_mean_variance(
        self,
        output: Float[Tensor, "b C_out H W"],
        x_t: Float[Tensor, "b C H W"],
        t: Int[Tensor, " b"],
        clip: bool = False,
    ) -> Gaussian:
        """p(x_{t-1} | x_t) from the network's output.

        Args:
            clip: clip the predicted x_0 to [-1, 1]; not in the loss, which would have no gradient there.
        """
        at = self.tables.at
        prediction, v = self.split(output)
        x_0 = self.predict_x_0(x_t, prediction, at("alpha_bar", t, x_t))
        if clip:
            x_0 = x_0.clamp(-1.0, 1.0)
        mean, small = self.posterior(x_0, x_t, t)
        log_variance = self.log_variance(v, at("log_betas", t, x_t), small, at("large_log_variance", t, x_t))
        return Gaussian(mean, log_variance)
