"""Samplers: DDPM, DDIM and DPM-Solver++(2M), on any increasing subset of the timesteps, each as its paper has it."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int, Int64

from jax_reference.diffusion.gaussian import GaussianDiffusion, learned_log_variance
from jax_reference.diffusion.ilvr import Reference, refine
from jax_reference.diffusion.schedule import Schedule
from jax_reference.diffusion.spacing import Spacing, spaced_timesteps

Network = Callable[[Float[Array, "b C H W"], Int[Array, " b"]], Float[Array, "b C_out H W"]]


class _Step(NamedTuple):
    """What a step knows besides its coefficients.

    Attributes:
        x: the current x.
        x_0: the predicted x_0, clipped where the sampler clips.
        x_0_before: the x_0 predicted one step before; zeros at the first step.
        v: the network's second half, with a learned variance.
        noise: fresh noise.
    """

    x: Float[Array, "b C H W"]
    x_0: Float[Array, "b C H W"]
    x_0_before: Float[Array, "b C H W"]
    v: Float[Array, "b C H W"] | None
    noise: Float[Array, "b C H W"]


class Sampler:
    """Draws images from noise with a network.

    Args:
        num_steps: how many timesteps to visit; all of them where None.
        timesteps: exactly these, increasing; instead of `num_steps`.
        guidance: w of classifier-free guidance, null + w·(conditional − null); 1 is none.
        clip: clip the predicted x_0 to [-1, 1] at every step.
        spacing: which timesteps `num_steps` are: evenly from 0 to T-1 (`linspace`), evenly up to T-1 (`trailing`), or
            evenly in log signal-to-noise ratio (`log_snr`).
        guidance_interval: the first and the last timestep that are guided, both included; all where None. Guidance at
            much noise costs variety, and at little noise does nothing (Kynkäänniemi et al. 2024, arXiv 2404.07724).
        ilvr_factor: N of ILVR, which holds what is drawn to a reference image: after every step the means of blocks of
            N × N pixels are those of the reference, noised as far (Choi et al. 2021, arXiv 2108.02938). None: no ILVR.
        ilvr_until: the last timestep after whose step that is done; 0: after all.

    Raises:
        ValueError: both or impossible `num_steps` and `timesteps`, guidance that is not finite, an unknown spacing,
            a guidance_interval that is none, an ilvr_factor below 2, ilvr_until without it.
    """

    def __init__(
        self,
        num_steps: int | None = None,
        timesteps: Sequence[int] | None = None,
        guidance: float = 1.0,
        clip: bool = True,
        spacing: Spacing = "linspace",
        guidance_interval: Sequence[int] | None = None,
        ilvr_factor: int | None = None,
        ilvr_until: int = 0,
    ) -> None:
        if num_steps is not None and timesteps is not None:
            raise ValueError("give num_steps or timesteps, not both.")
        if num_steps is not None and (num_steps != int(num_steps) or num_steps < 1):
            raise ValueError(f"num_steps is {num_steps}; it must be a whole number of at least 1.")
        if timesteps is not None and any(t != int(t) for t in timesteps):
            raise ValueError(f"timesteps must be whole numbers; got {list(timesteps)}.")
        if not math.isfinite(guidance):
            raise ValueError(f"guidance is {guidance}; it must be finite.")
        if spacing not in get_args(Spacing):
            raise ValueError(f"spacing is {spacing!r}; it must be one of {', '.join(get_args(Spacing))}.")
        if guidance_interval is not None and (
            len(guidance_interval) != 2 or guidance_interval[0] > guidance_interval[1]
        ):
            raise ValueError(f"guidance_interval is {list(guidance_interval)}; it must be two timesteps, increasing.")
        if ilvr_factor is not None and (ilvr_factor != int(ilvr_factor) or ilvr_factor < 2):
            raise ValueError(f"ilvr_factor is {ilvr_factor}; it must be a whole number of at least 2.")
        if ilvr_until and ilvr_factor is None:
            raise ValueError(f"ilvr_until is {ilvr_until}, but there is no ILVR without ilvr_factor.")
        self.num_steps = num_steps
        self.timesteps = timesteps
        self.guidance = guidance
        self.clip = clip
        self.spacing = spacing
        self.guidance_interval = guidance_interval
        self.ilvr_factor = ilvr_factor
        self.ilvr_until = ilvr_until

    def chain(self, diffusion: GaussianDiffusion) -> Int64[np.ndarray, " S"]:
        """The timesteps of the diffusion that are visited, increasing.

        Raises:
            ValueError: more steps than there are, timesteps out of order or range, an `ilvr_until` after all of them,
                or a `guidance_interval` beyond the process.
        """
        chain = self._chain(diffusion)
        guided = self.guidance_interval if self.guidance != 1 else None
        if guided is not None and guided[0] >= diffusion.num_steps:
            raise ValueError(
                f"guidance_interval is {guided}, but the diffusion has only {diffusion.num_steps} timesteps."
            )
        if self.ilvr_until > chain[-1]:
            raise ValueError(f"ilvr_until is {self.ilvr_until}, but the chain starts at timestep {chain[-1]}.")
        return chain

    def _chain(self, diffusion: GaussianDiffusion) -> Int64[np.ndarray, " S"]:
        total = diffusion.num_steps
        if self.timesteps is not None:
            chain = np.array(self.timesteps, np.int64)
            if list(chain) != sorted(set(chain.tolist()) & set(range(total))) or not len(chain):
                raise ValueError(f"timesteps must increase and lie in 0 … {total - 1}; got {chain.tolist()}.")
            return chain
        count = self.num_steps or total
        if count > total:
            raise ValueError(f"num_steps is {count}, but the diffusion has only {total}.")
        return spaced_timesteps(self.spacing, diffusion.tables, count)

    def check_image_size(self, image_size: int) -> None:
        """Whether images of a size can be drawn.

        Raises:
            ValueError: their side is no multiple of `ilvr_factor`.
        """
        if self.ilvr_factor is not None and image_size % self.ilvr_factor:
            raise ValueError(f"ilvr_factor is {self.ilvr_factor}; it must divide {image_size} pixels.")

    @abstractmethod
    def table(self, schedule: Schedule, diffusion: GaussianDiffusion) -> dict[str, Float64[np.ndarray, " S"]]:
        """Numbers of every step, in increasing order of the timesteps."""

    @abstractmethod
    def _next_x(self, at: Any, step: _Step) -> Float[Array, "b C H W"]:
        """The next x; `at` holds the coefficients of this step as scalars."""

    def trajectory(
        self,
        diffusion: GaussianDiffusion,
        network: Network,
        x_T: Float[Array, "b C H W"],
        noise: Float[Array, "S b C H W"],
        reference: Reference | None = None,
    ) -> Float[Array, "S b C H W"]:
        """Every x of the chain after `x_T`, in order; the last is the sample. One `lax.scan`.

        Args:
            network: x_t and t to the output, guidance included.
            x_T: where the chain starts.
            noise: of every step, the noisiest first.
            reference: of ILVR, where there is an `ilvr_factor`.

        Raises:
            ValueError: an `ilvr_factor` that does not divide the images, or is without reference; and see `chain`.
        """
        chain = self.chain(diffusion)
        self.check_image_size(x_T.shape[-1])
        if self.ilvr_factor is not None and reference is None:
            raise ValueError("ilvr_factor needs reference images, and there are none.")
        schedule = diffusion.tables.subset(chain)
        alpha_bars = {"alpha_bar": schedule.alpha_bar, "alpha_bar_prev": schedule.alpha_bar_prev}
        tables = {**alpha_bars, **self.table(schedule, diffusion)}
        backwards = {name: jnp.asarray(table[::-1].copy(), x_T.dtype) for name, table in tables.items()}

        def body(carry: tuple[jax.Array, jax.Array], inputs: Any) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            x, x_0_before = carry
            t, at, fresh, of_reference = inputs
            prediction, v = diffusion.split(network(x, jnp.broadcast_to(t, (len(x),))))
            x_0 = diffusion.predict_x_0(x, prediction, at["alpha_bar"])
            if self.clip:
                x_0 = jnp.clip(x_0, -1.0, 1.0)
            following = self._next_x(at, _Step(x, x_0, x_0_before, v, fresh))
            if reference is not None and self.ilvr_factor is not None:
                signal, rest = jnp.sqrt(at["alpha_bar_prev"]), jnp.sqrt(1 - at["alpha_bar_prev"])
                refined = refine(following, signal * reference.images + rest * of_reference, self.ilvr_factor)
                following = jnp.where(t >= self.ilvr_until, refined, following)
            return (following, x_0), following

        start = (x_T, jnp.zeros_like(x_T))
        times = jnp.asarray(chain[::-1].copy())
        return jax.lax.scan(body, start, (times, backwards, noise, reference and reference.noise))[1]

    def sample(
        self,
        diffusion: GaussianDiffusion,
        network: Network,
        x_T: Float[Array, "b C H W"],
        noise: Float[Array, "S b C H W"],
        reference: Reference | None = None,
    ) -> Float[Array, "b C H W"]:
        """The last x of `trajectory`."""
        return self.trajectory(diffusion, network, x_T, noise, reference)[-1]


class DDPM(Sampler):
    """Ancestral sampling (Ho et al. 2020, arXiv 2006.11239, algorithm 2), with the diffusion's own variance."""

    def table(self, schedule: Schedule, diffusion: GaussianDiffusion) -> dict[str, Float64[np.ndarray, " S"]]:
        posterior = schedule.posterior_log_variance_clipped
        large = diffusion.variance == "fixed_large"
        return {
            "mean_x_0": schedule.posterior_mean_x_0,
            "mean_x_t": schedule.posterior_mean_x_t,
            "log_beta": schedule.log_betas,
            "log_posterior": posterior,
            "log_variance": schedule.large_log_variance if large else posterior,
            "with_noise": np.append(0.0, np.ones(len(schedule) - 1)),  # the last step takes the mean
        }

    def _next_x(self, at: Any, step: _Step) -> Float[Array, "b C H W"]:
        """x = mean of q(x_{t-1} | x_t, x_0) + σ_t z; a learned σ_t is `learned_log_variance`."""
        log_variance = at["log_variance"]
        if step.v is not None:
            log_variance = learned_log_variance(step.v, at["log_beta"], at["log_posterior"])
        mean = at["mean_x_0"] * step.x_0 + at["mean_x_t"] * step.x
        return mean + at["with_noise"] * jnp.exp(log_variance / 2) * step.noise


class DDIM(Sampler):
    """Implicit sampling (Song et al. 2021, arXiv 2010.02502, equation 12).

    Args:
        num_steps: how many timesteps to visit; all of them where None.
        timesteps: exactly these, increasing; instead of `num_steps`.
        eta: 0 is deterministic, 1 has DDPM's noise (equation 16).
        guidance: w of classifier-free guidance; 1 is none.
        clip: clip the predicted x_0 to [-1, 1] at every step.
        spacing: which timesteps `num_steps` are: `linspace`, `trailing` or `log_snr`.
        guidance_interval: the first and the last timestep that are guided, both included; all where None.
        ilvr_factor: N of ILVR; no ILVR where None.
        ilvr_until: the last timestep after whose step an image is held to its reference; 0: after all.
    """

    def __init__(
        self,
        num_steps: int | None = 50,
        timesteps: Sequence[int] | None = None,
        eta: float = 0.0,
        guidance: float = 1.0,
        clip: bool = True,
        spacing: Spacing = "linspace",
        guidance_interval: Sequence[int] | None = None,
        ilvr_factor: int | None = None,
        ilvr_until: int = 0,
    ) -> None:
        of_ilvr = (ilvr_factor, ilvr_until)
        super().__init__(
            num_steps if timesteps is None else None, timesteps, guidance, clip, spacing, guidance_interval, *of_ilvr
        )
        if not 0.0 <= eta <= 1.0:
            raise ValueError(f"eta is {eta}; it must lie in [0, 1].")
        self.eta = eta

    def table(self, schedule: Schedule, diffusion: GaussianDiffusion) -> dict[str, Float64[np.ndarray, " S"]]:
        ratio = (1 - schedule.alpha_bar_prev) / (1 - schedule.alpha_bar)
        sigma = self.eta * np.sqrt(ratio * (1 - schedule.alpha_bar / schedule.alpha_bar_prev))  # equation 16
        return {"sigma": sigma}

    def _next_x(self, at: Any, step: _Step) -> Float[Array, "b C H W"]:
        """x = √abar' x_0 + √(1 − abar' − σ²) eps + σ z, with eps = (x_t − √abar x_0) / √(1 − abar)."""
        eps = (step.x - jnp.sqrt(at["alpha_bar"]) * step.x_0) / jnp.sqrt(1 - at["alpha_bar"])
        direction = jnp.sqrt(jnp.maximum(1 - at["alpha_bar_prev"] - at["sigma"] ** 2, 0.0)) * eps
        return jnp.sqrt(at["alpha_bar_prev"]) * step.x_0 + direction + at["sigma"] * step.noise


class DPMSolverPP(Sampler):
    """DPM-Solver++(2M), the multistep solver of second order (Lu et al. 2022, arXiv 2211.01095, algorithm 2).

    The first and the last step are of first order. There is no ILVR: it would extrapolate over what that has changed.

    Args:
        num_steps: how many timesteps to visit; all of them where None.
        timesteps: exactly these, increasing; instead of `num_steps`.
        guidance: w of classifier-free guidance; 1 is none.
        clip: clip the predicted x_0 to [-1, 1] at every step.
        spacing: which timesteps `num_steps` are: `linspace`, `trailing` or `log_snr`.
        guidance_interval: the first and the last timestep that are guided, both included; all where None.
    """

    def __init__(
        self,
        num_steps: int | None = None,
        timesteps: Sequence[int] | None = None,
        guidance: float = 1.0,
        clip: bool = True,
        spacing: Spacing = "log_snr",
        guidance_interval: Sequence[int] | None = None,
    ) -> None:
        super().__init__(num_steps, timesteps, guidance, clip, spacing, guidance_interval)

    def table(self, schedule: Schedule, diffusion: GaussianDiffusion) -> dict[str, Float64[np.ndarray, " S"]]:
        """With λ = log(α/σ), h = λ' − λ of a step and r = h of the step before / h."""
        alpha, sigma = np.sqrt(schedule.alpha_bar), np.sqrt(1 - schedule.alpha_bar)
        alpha_next, sigma_next = np.sqrt(schedule.alpha_bar_prev), np.sqrt(1 - schedule.alpha_bar_prev)
        half_inverse_r = np.zeros(len(schedule))  # 1/(2r); 0 makes a step first order
        h = np.zeros(len(schedule))
        h[1:] = np.log(alpha_next[1:] / sigma_next[1:]) - np.log(alpha[1:] / sigma[1:])
        half_inverse_r[1:-1] = h[1:-1] / h[2:] / 2
        return {
            "by_x": sigma_next / sigma,
            "by_d": alpha_next - sigma_next * alpha / sigma,  # −α' (e^(−h) − 1)
            "half_inverse_r": half_inverse_r,
        }

    def _next_x(self, at: Any, step: _Step) -> Float[Array, "b C H W"]:
        """x = σ'/σ x − α' (e^(−h) − 1) D, with D = (1 + 1/(2r)) x_0 − 1/(2r) x_0_before."""
        d = (1 + at["half_inverse_r"]) * step.x_0 - at["half_inverse_r"] * step.x_0_before
        return at["by_x"] * step.x + at["by_d"] * d


SAMPLERS: dict[str, type[Sampler]] = {"ddpm": DDPM, "ddim": DDIM, "dpm++": DPMSolverPP}
"""Every sampler by the name that a command line calls it."""
