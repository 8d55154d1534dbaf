"""Samplers: DDPM, DDIM and DPM-Solver++(2M), on any increasing subset of the timesteps.

Each is a table with a row for every step. A row holds the weights of x_t, of the predicted x_0, of the x_0 predicted
one step before, and of fresh noise in the next x. So the tables are made once, in float64, and all samplers share one
loop whose steps differ in numbers alone (one compiled graph, replayed, under XLA).
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from lightning_nsd.accelerators.device import run_recorded
from lightning_nsd.by_timestep import ByTimestep
from lightning_nsd.diffusion.gaussian import GaussianDiffusion, learned_log_variance
from lightning_nsd.diffusion.ilvr import Reference, refine
from lightning_nsd.diffusion.schedule import Schedule
from lightning_nsd.diffusion.spacing import Spacing, spaced_timesteps
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Factor, Fraction, Guidance, Timestep, Timesteps, bounded, shown
from lightning_nsd.tables.step_table import StepTable

Network = Callable[[Float[Tensor, "b C H W"], Int[Tensor, " b"]], Float[Tensor, "b C_out H W"]]


@bounded("sampler")
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
        UserError: both or impossible `num_steps` and `timesteps`, a number out of its bounds, an unknown spacing,
            a guidance_interval that is none, ilvr_until without ilvr_factor.
    """

    _takes_learned_variance = False  # a network's own, in place of the table's noise

    def __init__(
        self,
        num_steps: Timesteps | None = None,
        timesteps: Sequence[Timestep] | None = None,
        guidance: Guidance = 1.0,
        clip: bool = True,
        spacing: Spacing = "linspace",
        guidance_interval: Sequence[Timestep] | None = None,
        ilvr_factor: Factor | None = None,
        ilvr_until: Timestep = 0,
    ) -> None:
        if num_steps is not None and timesteps is not None:
            raise UserError("sampler: give num_steps or timesteps, not both.")
        if guidance_interval is not None and not _is_interval(guidance_interval):
            raise UserError(
                f"sampler.guidance_interval is {shown(guidance_interval)}; it must be two timesteps, the first and the "
                "last that are guided, such as [200, 800]."
            )
        if ilvr_until and ilvr_factor is None:
            raise UserError(f"sampler.ilvr_until is {ilvr_until}, but there is no ILVR without sampler.ilvr_factor.")
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
            UserError: more steps than there are, timesteps out of order or range, an `ilvr_until` after all of them, or
                a `guidance_interval` beyond the process.
        """
        chain = self._chain(diffusion)
        guided = self.guidance_interval if self.guidance != 1 else None
        if guided is not None and guided[0] >= diffusion.num_steps:
            raise UserError(
                f"sampler.guidance_interval is {shown(guided)}, but the diffusion has only "
                f"{diffusion.num_steps} timesteps (num_steps): no step would be guided."
            )
        if self.ilvr_until > chain[-1]:
            raise UserError(
                f"sampler.ilvr_until is {self.ilvr_until}, but the chain starts at timestep {chain[-1]}: no step would "
                "be held to the reference."
            )
        return chain

    def _chain(self, diffusion: GaussianDiffusion) -> Int64[np.ndarray, " S"]:
        total = diffusion.num_steps
        if self.timesteps is not None:
            chain = np.asarray(self.timesteps, dtype=np.int64)
            if not len(chain) or (np.diff(chain) <= 0).any() or chain[0] < 0 or chain[-1] >= total:
                raise UserError(f"sampler.timesteps must increase and lie in 0 … {total - 1}; got {chain.tolist()}.")
            return chain
        num_steps = total if self.num_steps is None else self.num_steps
        if num_steps > total:
            raise UserError(f"sampler.num_steps is {num_steps}, but the diffusion has only {total} (num_steps).")
        return spaced_timesteps(self.spacing, diffusion.tables.schedule, num_steps)

    def check_image_size(self, image_size: int) -> None:
        """Whether images of a size can be drawn.

        Raises:
            UserError: their side is no multiple of `ilvr_factor`.
        """
        if self.ilvr_factor is not None and image_size % self.ilvr_factor:
            raise UserError(
                f"sampler.ilvr_factor is {self.ilvr_factor}; it must divide the {image_size} pixels of an image's side."
            )

    @abstractmethod
    def table(self, schedule: Schedule, diffusion: GaussianDiffusion) -> StepTable:
        """The weights of every step, over the schedule of the visited timesteps."""

    def trajectory(
        self,
        diffusion: GaussianDiffusion,
        network: Network,
        x_T: Float[Tensor, "b C H W"],
        noise: Callable[[int], Float[Tensor, "b C H W"]],
        reference: Reference | None = None,
    ) -> Iterator[Float[Tensor, "b C H W"]]:
        """Every x of the chain after `x_T`, in order; the last is the sample, in about [-1, 1].

        Args:
            network: x_t and t to the output, guidance included; of a `ByTimestep` the one of each step's timestep.
            x_T: where the chain starts.
            noise: gives the noise of step k; asked for only where it has a weight.
            reference: of ILVR, where there is an `ilvr_factor`.

        Raises:
            UserError: an `ilvr_factor` that does not divide the images, or is without reference; and see `chain`.
        """
        chain = self.chain(diffusion)
        self.check_image_size(x_T.shape[-1])
        if self.ilvr_factor is not None and reference is None:
            raise UserError("sampler.ilvr_factor needs reference images, and there are none.")
        schedule = diffusion.tables.schedule.subset(chain)
        table = self.table(schedule, diffusion)
        columns = [*table, schedule.alpha_bar[::-1], schedule.alpha_bar_prev[::-1]]
        if self._takes_learned_variance and diffusion.variance == "learned":
            columns += [schedule.log_betas[::-1], schedule.posterior_log_variance_clipped[::-1]]
        numbers = torch.from_numpy(np.stack(columns, axis=1)).to(x_T.dtype)  # (S, 6 or 8)
        times = torch.from_numpy(chain[::-1].copy())  # (S,)
        x, x_0_before = x_T, torch.zeros_like(x_T)
        run_recorded(x.device)
        for k in range(len(chain)):
            with torch.no_grad():
                # A step's numbers cross to the device one step at a time, and as vectors: under XLA a row taken out of
                # a table there is another graph for every row, and so is a scalar that is 0 or 1.
                by_x, by_x_0, by_before, by_noise, alpha_bar, next_alpha_bar, *log_variances = (
                    numbers[k].to(x.device).unbind()
                )
                of_step = network.at(int(times[k])) if isinstance(network, ByTimestep) else network
                output = of_step(x, times[k : k + 1].to(x.device).expand(len(x)))
                prediction, v = diffusion.split(output)
                x_0 = diffusion.predict_x_0(x, prediction, alpha_bar)
                if self.clip:
                    x_0 = x_0.clamp(-1.0, 1.0)
                following = by_x * x + by_x_0 * x_0 + by_before * x_0_before
                if table.noise[k] > 0:
                    if log_variances:
                        by_noise = (0.5 * learned_log_variance(v, *log_variances)).exp()  # type: ignore[arg-type]
                    following = following + by_noise * noise(k)
                if reference is not None and self.ilvr_factor is not None and times[k] >= self.ilvr_until:
                    y = next_alpha_bar.sqrt() * reference.images
                    if k + 1 < len(chain):
                        y = y + (1 - next_alpha_bar).sqrt() * reference.noise(k)
                    following = refine(following, y, self.ilvr_factor)
                x, x_0_before = following, x_0
                run_recorded(x.device)
            yield x

    def sample(
        self,
        diffusion: GaussianDiffusion,
        network: Network,
        x_T: Float[Tensor, "b C H W"],
        noise: Callable[[int], Float[Tensor, "b C H W"]],
        reference: Reference | None = None,
    ) -> Float[Tensor, "b C H W"]:
        """The last x of `trajectory`."""
        return deque(self.trajectory(diffusion, network, x_T, noise, reference), maxlen=1).pop()


def _is_interval(value: object) -> bool:
    """Whether something is two numbers that do not decrease; those of a list or a tuple are known to be timesteps."""
    return isinstance(value, list | tuple) and len(value) == 2 and value[0] <= value[1]


class DDPM(Sampler):
    """Ancestral sampling (Ho et al. 2020, arXiv 2006.11239, algorithm 2), with the diffusion's own variance."""

    _takes_learned_variance = True

    def table(self, schedule: Schedule, diffusion: GaussianDiffusion) -> StepTable:
        large = diffusion.variance == "fixed_large"
        log_variance = schedule.large_log_variance if large else schedule.posterior_log_variance_clipped
        noise = np.exp(0.5 * log_variance)
        noise[0] = 0.0  # the last step takes the mean
        zeros = np.zeros(len(schedule))
        rows = (schedule.posterior_mean_x_t, schedule.posterior_mean_x_0, zeros, noise)
        return StepTable(*(row[::-1] for row in rows))


@bounded("sampler")
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
        num_steps: Timesteps | None = 50,
        timesteps: Sequence[Timestep] | None = None,
        eta: Fraction = 0.0,
        guidance: Guidance = 1.0,
        clip: bool = True,
        spacing: Spacing = "linspace",
        guidance_interval: Sequence[Timestep] | None = None,
        ilvr_factor: Factor | None = None,
        ilvr_until: Timestep = 0,
    ) -> None:
        of_ilvr = (ilvr_factor, ilvr_until)
        super().__init__(
            num_steps if timesteps is None else None, timesteps, guidance, clip, spacing, guidance_interval, *of_ilvr
        )
        self.eta = eta

    def table(self, schedule: Schedule, diffusion: GaussianDiffusion) -> StepTable:
        alpha_bar, previous = schedule.alpha_bar, schedule.alpha_bar_prev
        sigma = self.eta * np.sqrt(schedule.posterior_variance)
        # eps = (x_t − √abar x_0) / √(1−abar), and the next x = √abar' x_0 + √(1−abar'−σ²) eps + σ noise
        by_eps = np.sqrt(np.maximum(1.0 - previous - sigma**2, 0.0))
        x_t = by_eps / np.sqrt(1.0 - alpha_bar)
        x_0 = np.sqrt(previous) - x_t * np.sqrt(alpha_bar)
        return StepTable(*(row[::-1] for row in (x_t, x_0, np.zeros(len(schedule)), sigma)))


@bounded("sampler")
class DPMSolverPP(Sampler):
    """DPM-Solver++(2M), the multistep solver of second order (Lu et al. 2022, arXiv 2211.01095, algorithm 2).

    The first and the last step are of first order. The others extrapolate over the step before them, which is far off
    where a step is much longer in log signal-to-noise ratio than the one before it: so `log_snr`, where all are
    equally long, is the default. It would extrapolate over what ILVR has changed: there is none.

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
        num_steps: Timesteps | None = None,
        timesteps: Sequence[Timestep] | None = None,
        guidance: Guidance = 1.0,
        clip: bool = True,
        spacing: Spacing = "log_snr",
        guidance_interval: Sequence[Timestep] | None = None,
    ) -> None:
        super().__init__(num_steps, timesteps, guidance, clip, spacing, guidance_interval)

    def table(self, schedule: Schedule, diffusion: GaussianDiffusion) -> StepTable:
        alpha_bar = np.append(schedule.alpha_bar[::-1], 1.0)  # (S + 1,), ends at the clean image
        alpha, sigma = np.sqrt(alpha_bar), np.sqrt(1.0 - alpha_bar)
        h = np.diff(schedule.half_log_snr[::-1])  # (S − 1,); that of the last step, to the clean image, is infinite
        x_t = sigma[1:] / sigma[:-1]
        by_x_0 = alpha[1:] - alpha[:-1] * x_t  # −α' (e^(−h) − 1), written so that infinite h does no harm
        # D = (1 + 1/(2r)) x_0 − 1/(2r) x_0_before, with r = h_before / h
        half_inverse_r = np.zeros(len(schedule))
        half_inverse_r[1:-1] = h[1:] / h[:-1] / 2
        return StepTable(x_t, by_x_0 * (1 + half_inverse_r), -by_x_0 * half_inverse_r, np.zeros(len(schedule)))


SAMPLERS: dict[str, type[Sampler]] = {"ddpm": DDPM, "ddim": DDIM, "dpm++": DPMSolverPP}
"""Every sampler by the name that a command line calls it."""
