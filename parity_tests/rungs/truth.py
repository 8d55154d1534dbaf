"""Rung 8: samplers on data whose exact network is a formula, held against the data itself.

Two frameworks can share a mistake. Here is nothing to learn and nothing random, so what remains is the sampler's own
error, and it is known exactly:

* Normal data makes every sampler a linear map. Its coefficients, of x_T and of each step's noise, are read off by
  sampling from the unit vectors, and their norm is the standard deviation of what is drawn.
* A sampler without noise maps the line to the line. What it makes of the normal distribution's quantiles are quantiles
  of what is drawn, whose Wasserstein-2 distance to those of a mixture is a sum.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import torch
from scipy.special import ndtr, ndtri

from jax_reference.diffusion.gaussian import GaussianDiffusion as TheirDiffusion
from lightning_nsd.diffusion.gaussian import GaussianDiffusion, Prediction
from lightning_nsd.diffusion.schedule import ScheduleName
from parity_tests.check import Check
from parity_tests.pairing.arrays import to_numpy
from parity_tests.rungs import sampler
from parity_tests.tolerances import TRUTH, TRUTH_STEPS, Dtype

Side = Literal["torch", "jax"]
SIDES: tuple[Side, ...] = get_args(Side)

TOTAL = 1000
FINE_TOTAL = 10_000
"""Timesteps where the order of convergence is measured: among 1,000, whole numbers are too far from even in log-SNR."""
SAMPLERS = sampler.registered(ddim={"eta": 1.0})
WITHOUT_NOISE = ("DDIM", "DPM-Solver++(2M)")
ORDERS = {"DDPM": 1, "DDIM": 1, "DDIM, eta 1": 1, "DPM-Solver++(2M)": 2}
ORDER_STEPS = (20, 40, 80)
SHORT = 10
"""Steps to which JAX, which compiles each chain anew, takes every prediction; longer chains take the first alone."""
SCHEDULES: tuple[ScheduleName, ...] = ("linear", "cosine")
PREDICTIONS: tuple[Prediction, ...] = ("eps", "x_0", "v")


class Normal(NamedTuple):
    """One component of the data: its share, mean and standard deviation."""

    share: float
    mean: float
    deviation: float


Data = tuple[Normal, Normal]

DATA: dict[str, Data] = {
    "N(0, 0.5²)": (Normal(0.5, 0.0, 0.5), Normal(0.5, 0.0, 0.5)),
    "N(0, 0.1²)": (Normal(0.5, 0.0, 0.1), Normal(0.5, 0.0, 0.1)),
    "mixture": (Normal(0.3, -0.6, 0.1), Normal(0.7, 0.4, 0.15)),
}
MIXTURE = "mixture"
NORMALS = [name for name in DATA if name != MIXTURE]
PROBABILITIES = (np.arange(512) + 0.5) / 512


class Rows(NamedTuple):
    """A batch of numbers to sample from, each with its own data.

    Attributes:
        of: the data's name of each row.
        start: x_T of each, `(rows, 1, 1, 1)`.
        noise: of every step, `(S, rows, 1, 1, 1)`.
    """

    of: list[str]
    start: np.ndarray
    noise: np.ndarray


def rows(steps: int) -> Rows:
    """The unit vectors of x_T and each step's noise for normal data, quantiles for the mixture."""
    of = [name for name in NORMALS for _ in range(steps + 1)] + [MIXTURE] * len(PROBABILITIES)
    units = np.eye(steps + 1)  # row r: x_T, then the noise of steps 1 … S
    nothing = np.zeros((len(PROBABILITIES), steps))
    columns = np.concatenate([units] * len(NORMALS) + [np.column_stack([ndtri(PROBABILITIES), nothing])])
    x_T, *noise = columns.T[:, :, None, None, None]
    return Rows(of, x_T, np.stack(noise))


def exact_network(library: Any, of: Sequence[str], alpha_bar: np.ndarray, prediction: Prediction, like: Any) -> Any:
    """The network that training would end at: the conditional mean of x_0, eps or v given x_t, row by row.

    Args:
        library: torch or jax.numpy.
        of: data of each row.
        alpha_bar: of every timestep.
        like: gives the dtype.
    """

    def numbers(values: Any) -> Any:
        return library.asarray(np.asarray(values), dtype=like.dtype)

    table = numbers(alpha_bar)
    components = [
        [numbers([DATA[name][k][field] for name in of])[:, None, None, None] for field in range(3)] for k in range(2)
    ]

    def network(x: Any, t: Any) -> Any:
        a = table[t][:, None, None, None]
        logs, means = [], []
        for share, mean, deviation in components:
            centred, variance = x - library.sqrt(a) * mean, a * deviation**2 + 1 - a
            logs.append(library.log(share) - library.log(variance) / 2 - centred**2 / variance / 2)
            means.append(mean + library.sqrt(a) * deviation**2 / variance * centred)
        second = 1 / (1 + library.exp(library.clip(logs[0] - logs[1], -80, 80)))
        x_0 = means[0] + second * (means[1] - means[0])
        eps = (x - library.sqrt(a) * x_0) / library.sqrt(1 - a)
        return {"eps": eps, "x_0": x_0, "v": library.sqrt(a) * eps - library.sqrt(1 - a) * x_0}[prediction]

    return network


def sampled(
    side: Side, name: str, diffusion: dict[str, Any], given: Rows, dtype: Dtype, **arguments: Any
) -> np.ndarray:
    """What a sampler of one framework makes of the rows, float64 `(rows,)`."""
    registered, own = SAMPLERS[name]
    ours, theirs = sampler.both(registered, **own, clip=False, **arguments)
    x_T, noise = given.start.astype(dtype), given.noise.astype(dtype)
    our_diffusion, their_diffusion = GaussianDiffusion(**diffusion), TheirDiffusion(**diffusion)
    prediction = our_diffusion.prediction
    if side == "torch":
        start = torch.from_numpy(x_T)
        network = exact_network(torch, given.of, our_diffusion.tables.schedule.alpha_bar, prediction, start)
        last: Any = ours.sample(our_diffusion, network, start, lambda k: torch.from_numpy(noise[k]))
    else:
        network = exact_network(jnp, given.of, their_diffusion.tables.alpha_bar, prediction, x_T)
        last = jax.jit(partial(theirs.sample, their_diffusion, network))(jnp.asarray(x_T), jnp.asarray(noise))
    return to_numpy(last).reshape(-1).astype(np.float64)


def quantiles(data: Data) -> np.ndarray:
    """Of a mixture at `PROBABILITIES`, by halving."""
    low, high = np.full(len(PROBABILITIES), -10.0), np.full(len(PROBABILITIES), 10.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = sum(c.share * ndtr((middle - c.mean) / c.deviation) for c in data) < PROBABILITIES
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def sampler_errors(
    side: Side, name: str, diffusion: dict[str, Any], steps: int, dtype: Dtype = "float64", **arguments: Any
) -> dict[str, float]:
    """The error of a sampler for each data, as a fraction of the data's standard deviation.

    Of normal data it is that of the standard deviation, with its sign; of the mixture the Wasserstein-2 distance, for
    samplers without noise.

    Args:
        side: whose sampler.
        name: a title of `SAMPLERS`.
        diffusion: arguments of `GaussianDiffusion`.
        steps: of the chain.
        arguments: of the sampler.
    """
    given = rows(steps)
    values = sampled(side, name, diffusion, given, dtype, num_steps=steps, **arguments)
    of = np.array(given.of)
    found = {data: float(np.linalg.norm(values[of == data]) / DATA[data][0].deviation - 1) for data in NORMALS}
    if name in WITHOUT_NOISE:
        exact = quantiles(DATA[MIXTURE])
        distance = np.sqrt(np.square(np.sort(values[of == MIXTURE]) - exact).mean())
        found[MIXTURE] = float(distance / exact.std())
    return found


def check_errors(
    name: str, schedule: ScheduleName, predictions: Sequence[Prediction] = PREDICTIONS, dtype: Dtype = "float64"
) -> Check:
    """A sampler at every number of steps, in both frameworks; its errors as fractions of the stated bounds."""
    bounds, fractions = TRUTH[name, schedule], {}
    for side, prediction, (place, steps) in product(SIDES, predictions, enumerate(TRUTH_STEPS)):
        if side == "jax" and steps > SHORT and prediction != predictions[0]:
            continue
        diffusion = {"num_steps": TOTAL, "schedule": schedule, "prediction": prediction}
        for data, error in sampler_errors(side, name, diffusion, steps, dtype).items():
            fractions[f"{side}, {prediction}, {data}, {steps} steps"] = abs(error) / bounds[data][place]
    return Check("truth", f"{name}, {schedule}: error at {TRUTH_STEPS} steps / bound", dtype, fractions)


def check_order(name: str, schedule: ScheduleName, prediction: Prediction) -> Check:
    """How far the order of convergence, on normal data and steps even in log-SNR, is from the method's."""
    diffusion = {"num_steps": FINE_TOTAL, "schedule": schedule, "prediction": prediction}
    errors = {}
    for side in SIDES:
        found = [
            abs(sampler_errors(side, name, diffusion, steps, spacing="log_snr")[NORMALS[0]]) for steps in ORDER_STEPS
        ]
        for k, order in enumerate(np.log2(np.array(found[:-1]) / np.array(found[1:]))):
            errors[f"{side}, {ORDER_STEPS[k]} to {ORDER_STEPS[k + 1]} steps"] = float(abs(order - ORDERS[name]))
    what = f"{name}, {schedule}: order of convergence, off {ORDERS[name]} by"
    return Check("truth", what, "float64", errors, line="truth order")


def check(schedule: ScheduleName, prediction: Prediction, dtype: Dtype) -> Iterator[Check]:
    """Every sampler on a process of 1,000 steps."""
    for name in SAMPLERS:
        yield check_errors(name, schedule, (prediction,), dtype)
        yield check_order(name, schedule, prediction)
