"""Rung 6: whole trajectories, the same noise on both sides."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from jax_reference.diffusion import sampler as theirs
from jax_reference.trajectory import make_sampler
from lightning_nsd.diffusion import sampler as ours
from lightning_nsd.diffusion.ilvr import Reference, reference_images
from lightning_nsd.model.guidance import guided_network
from lightning_nsd.rng import philox
from parity_tests.check import Check
from parity_tests.compare import errors_of
from parity_tests.pair import Pair
from parity_tests.pairing.arrays import to_jax, to_numpy
from parity_tests.tolerances import Dtype

Arguments = dict[str, Any]
TITLES = {"dpm++": "DPM-Solver++(2M)"}


def registered(**variants: Arguments) -> dict[str, tuple[str, Arguments]]:
    """Every registered sampler as it is by default, and some with arguments: their names and arguments by title.

    Args:
        variants: arguments of a second one, by the sampler's name.
    """
    found: dict[str, tuple[str, Arguments]] = {}
    for name in ours.SAMPLERS:
        title = TITLES.get(name, name.upper())
        found[title] = (name, {})
        if name in variants:
            words = (f"{argument} {value:g}" for argument, value in variants[name].items())
            found[", ".join([title, *words])] = (name, variants[name])
    return found


SAMPLERS = registered(ddim={"eta": 0.5})
WITH_ILVR = ("DDPM", "DDIM", "DDIM, eta 0.5")
"""Those that have it: a solver of several steps would extrapolate over what it changes."""


def both(name: str, **arguments: Any) -> tuple[ours.Sampler, theirs.Sampler]:
    """A registered sampler on both sides."""
    return ours.SAMPLERS[name](**arguments), theirs.SAMPLERS[name](**arguments)


def titled(title: str, **more: Any) -> tuple[ours.Sampler, theirs.Sampler]:
    """One of `SAMPLERS` on both sides, with more arguments."""
    name, arguments = SAMPLERS[title]
    return both(name, **{**arguments, **more})


def start_and_noise(shape: tuple[int, ...], steps: int, dtype: Dtype) -> tuple[np.ndarray, np.ndarray]:
    """x_T and the noise of every step."""
    random = philox(3, steps)
    return random.standard_normal(shape).astype(dtype), random.standard_normal((steps, *shape)).astype(dtype)


def reference_noise(shape: tuple[int, ...], steps: int, dtype: Dtype) -> np.ndarray:
    """ILVR's noise of every step."""
    return philox(6, steps).standard_normal((steps, *shape)).astype(dtype)


def references(support: torch.Tensor, num: int, noise: np.ndarray | None) -> Reference | None:
    """The torch side's references of `num` queries of each support set, with ILVR's noise of every step; or none."""
    if noise is None:
        return None
    return Reference(reference_images(support, num), lambda k: torch.from_numpy(noise[k]).to(support.device))


def steps_of(trajectory: Any) -> dict[str, np.ndarray]:
    """Every x of a chain, named by its step."""
    return {f"step {k + 1}": to_numpy(x) for k, x in enumerate(trajectory)}


def compare(
    what: str,
    dtype: Dtype,
    left: Callable[[np.ndarray, np.ndarray], Any],
    right: Callable[[np.ndarray, np.ndarray], Any],
    shape: tuple[int, ...],
    steps: int,
) -> Check:
    """Two functions from x_T and noise to a trajectory."""
    x_T, noise = start_and_noise(shape, steps, dtype)
    return Check("sampler", what, dtype, errors_of(steps_of(left(x_T, noise)), steps_of(right(x_T, noise))))


def check(pair: Pair, name: str, num: int = 2, batch: int = 2, **arguments: Any) -> Iterator[Check]:
    """A whole trajectory of the pair's network: `batch` support sets, `num` queries each.

    Args:
        name: a title of `SAMPLERS`.
        arguments: of the sampler: its steps, guidance, clipping.
    """
    our_sampler, their_sampler = titled(name, **arguments)
    chain = our_sampler.chain(pair.ours.diffusion)
    support = pair.support(pair.inputs(batch))
    shape = (num * len(support), pair.ours.channels, pair.ours.image_size, pair.ours.image_size)
    of_reference = None if our_sampler.ilvr_factor is None else reference_noise(shape, len(chain), pair.dtype)

    def left(x_T: np.ndarray, noise: np.ndarray) -> list[torch.Tensor]:
        network = guided_network(
            pair.ours.model, pair.on_device(support), num, our_sampler.guidance, our_sampler.guidance_interval
        )
        fresh = lambda k: pair.on_device(noise[k])  # noqa: E731
        reference = references(pair.on_device(support), num, of_reference)
        return list(our_sampler.trajectory(pair.ours.diffusion, network, pair.on_device(x_T), fresh, reference))

    def right(x_T: np.ndarray, noise: np.ndarray) -> Any:
        trajectory = make_sampler(pair.theirs, pair.diffusion, their_sampler, num)
        return trajectory(pair.params, *map(to_jax, (support, x_T, noise, of_reference)))

    about = "".join(f", {key} {value}" for key, value in arguments.items() if not isinstance(value, list))
    with torch.no_grad():
        yield compare(f"{name}{about}, {len(chain)} steps", pair.dtype, left, right, shape, len(chain))
