"""Gaussian diffusion: noising, and what a network's output says about x_0 and about x_{t-1}."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jax_reference.diffusion.schedule import Schedule, ScheduleName, make_betas

Prediction = Literal["eps", "x_0", "v"]
Variance = Literal["fixed_large", "fixed_small", "learned"]


class Gaussian(NamedTuple):
    """Mean and log variance of a normal distribution."""

    mean: Float[Array, "b C H W"]
    log_variance: Float[Array, " b #C #H #W"]


def learned_log_variance(
    v: Float[Array, "b C H W"],
    log_beta: Float[Array, "b 1 1 1"] | Float[Array, ""],
    log_posterior: Float[Array, "b 1 1 1"] | Float[Array, ""],
) -> Float[Array, "b C H W"]:
    """f log beta + (1−f) log posterior, f = (v+1)/2 (Nichol & Dhariwal 2021, arXiv 2102.09672, equation 15).

    Args:
        v: the second half of a network's output.
        log_beta: of the timestep.
        log_posterior: log variance of q(x_{t-1} | x_t, x_0) there.
    """
    f = (v + 1) / 2
    return f * log_beta + (1 - f) * log_posterior


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

    num_steps: int = 1000
    schedule: ScheduleName = "linear"
    prediction: Prediction = "eps"
    variance: Variance = "fixed_large"
    vlb_weight: float = 1.0

    @cached_property
    def tables(self) -> Schedule:
        """The tables of the full schedule."""
        return Schedule(make_betas(self.schedule, self.num_steps))

    def _at(self, name: str, t: Int[Array, " b"], like: Float[Array, "b C H W"]) -> Float[Array, "b 1 1 1"]:
        """Table `name` at the timesteps, in the dtype of `like`."""
        return jnp.asarray(getattr(self.tables, name), like.dtype)[t][:, None, None, None]

    def out_channels(self, channels: int) -> int:
        """Channels of the network's output for images of `channels`."""
        return 2 * channels if self.variance == "learned" else channels

    def q_sample(
        self, x_0: Float[Array, "b C H W"], t: Int[Array, " b"], noise: Float[Array, "b C H W"]
    ) -> Float[Array, "b C H W"]:
        """x_t = √abar x_0 + √(1−abar) eps (Ho et al. 2020, equation 4)."""
        alpha_bar = self._at("alpha_bar", t, x_0)
        return jnp.sqrt(alpha_bar) * x_0 + jnp.sqrt(1 - alpha_bar) * noise

    def target(
        self, x_0: Float[Array, "b C H W"], t: Int[Array, " b"], noise: Float[Array, "b C H W"]
    ) -> Float[Array, "b C H W"]:
        """What the network should predict."""
        alpha_bar = self._at("alpha_bar", t, x_0)
        v = jnp.sqrt(alpha_bar) * noise - jnp.sqrt(1 - alpha_bar) * x_0
        return {"eps": noise, "x_0": x_0, "v": v}[self.prediction]

    def predict_x_0(
        self,
        x_t: Float[Array, "b C H W"],
        prediction: Float[Array, "b C H W"],
        alpha_bar: Float[Array, "b 1 1 1"] | Float[Array, ""],
    ) -> Float[Array, "b C H W"]:
        """x_0 from the network's prediction."""
        signal, noise = jnp.sqrt(alpha_bar), jnp.sqrt(1 - alpha_bar)
        if self.prediction == "eps":
            return (x_t - noise * prediction) / signal
        return prediction if self.prediction == "x_0" else signal * x_t - noise * prediction

    def split(
        self, output: Float[Array, "b C_out H W"]
    ) -> tuple[Float[Array, "b C H W"], Float[Array, "b C H W"] | None]:
        """A network's output as prediction and, with a learned variance, v."""
        if self.variance != "learned":
            return output, None
        channels = output.shape[1] // 2
        return output[:, :channels], output[:, channels:]

    def log_variance(
        self,
        v: Float[Array, "b C H W"] | None,
        log_beta: Float[Array, "b 1 1 1"],
        posterior: Float[Array, "b 1 1 1"],
        large: Float[Array, "b 1 1 1"],
    ) -> Float[Array, " b #C #H #W"]:
        """Log variance of p(x_{t-1} | x_t): the network's, or that of the two fixed ones which was chosen."""
        if v is None:
            return {"fixed_large": large, "fixed_small": posterior}[self.variance]
        return learned_log_variance(v, log_beta, posterior)

    def posterior(self, x_0: Float[Array, "b C H W"], x_t: Float[Array, "b C H W"], t: Int[Array, " b"]) -> Gaussian:
        """q(x_{t-1} | x_t, x_0) (Ho et al. 2020, equation 6)."""
        mean = self._at("posterior_mean_x_0", t, x_t) * x_0 + self._at("posterior_mean_x_t", t, x_t) * x_t
        return Gaussian(mean, self._at("posterior_log_variance_clipped", t, x_t))

    def p_mean_variance(
        self, output: Float[Array, "b C_out H W"], x_t: Float[Array, "b C H W"], t: Int[Array, " b"], clip: bool = False
    ) -> Gaussian:
        """p(x_{t-1} | x_t) from the network's output.

        Args:
            clip: clip the predicted x_0 to [-1, 1]; not in the loss, which would have no gradient there.
        """
        prediction, v = self.split(output)
        x_0 = self.predict_x_0(x_t, prediction, self._at("alpha_bar", t, x_t))
        q = self.posterior(jnp.clip(x_0, -1, 1) if clip else x_0, x_t, t)
        large = self._at("large_log_variance", t, x_t)
        return Gaussian(q.mean, self.log_variance(v, self._at("log_betas", t, x_t), q.log_variance, large))
