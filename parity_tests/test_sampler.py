"""Rung 6: trajectories of a network that is a formula, for every sampler, then of real networks."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jax_reference import diffusion as their_package
from jax_reference.diffusion import sampler as theirs
from jax_reference.diffusion.gaussian import GaussianDiffusion as TheirDiffusion
from lightning_nsd import diffusion as our_package
from lightning_nsd.diffusion import sampler as ours
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.schedule import ScheduleName
from lightning_nsd.diffusion.spacing import Spacing
from parity_tests import cases
from parity_tests.check import Check
from parity_tests.pair import Pair
from parity_tests.rungs import sampler

SHAPE = (2, 3, 4, 4)
CHAINS: dict[str, dict[str, Any]] = {
    "all": {"num_steps": None},
    "evenly spread": {"num_steps": 13, "spacing": "linspace"},
    "trailing": {"num_steps": 9, "spacing": "trailing"},
    "even in log-SNR": {"num_steps": 9, "spacing": "log_snr"},
    "one": {"num_steps": 1},
    "two": {"timesteps": [3, 17]},
    "chosen, not clipped": {"timesteps": [0, 1, 5, 20, 37], "clip": False},
}


def network(library: Any, x: Any, t: Any, channels: int) -> Any:
    """Some function of x and t, the same in either library."""
    out = library.tanh(0.7 * x + library.sin(t)[:, None, None, None])
    return out if channels == 3 else library.concatenate([out, library.cos(3 * x)], 1)


def defined(package: ModuleType, base: type) -> set[type]:
    """Every sampler that a package's files of the diffusion define."""
    for file in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{file.name}")
    below = [base]
    for of in below:
        below += of.__subclasses__()
    return {of for of in below[1:] if of.__module__.startswith(package.__name__)}


def test_every_sampler_is_registered_in_both_packages_and_stands_in_this_rung() -> None:
    assert defined(our_package, ours.Sampler) == set(ours.SAMPLERS.values())
    assert defined(their_package, theirs.Sampler) == set(theirs.SAMPLERS.values())
    names = {name: of.__name__ for name, of in ours.SAMPLERS.items()}
    assert names == {name: of.__name__ for name, of in theirs.SAMPLERS.items()}
    assert names.keys() == {name for name, _ in sampler.SAMPLERS.values()}


def trajectories(diffusion: dict[str, Any], name: str, chain: dict[str, Any]) -> Check:
    left_sampler, right_sampler = sampler.titled(name, **chain)
    our_diffusion, their_diffusion = GaussianDiffusion(**diffusion), TheirDiffusion(**diffusion)
    channels = our_diffusion.out_channels(3)

    def left(x_T: np.ndarray, noise: np.ndarray) -> Any:
        function = lambda x, t: network(torch, x, t.double(), channels)  # noqa: E731
        return left_sampler.trajectory(
            our_diffusion, function, torch.from_numpy(x_T), lambda k: torch.from_numpy(noise[k])
        )

    def right(x_T: np.ndarray, noise: np.ndarray) -> Any:
        function = lambda x, t: network(jnp, x, t.astype(float), channels)  # noqa: E731
        with jax.disable_jit():  # compiling would take longer; the tests of networks compile
            return right_sampler.trajectory(their_diffusion, function, jnp.asarray(x_T), jnp.asarray(noise))

    steps = len(left_sampler.chain(our_diffusion))
    return sampler.compare(f"{name}, {chain}, {diffusion}", "float64", left, right, SHAPE, steps)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("diffusion", cases.DIFFUSIONS, ids=lambda d: f"{d['prediction']}-{d['variance']}")
@pytest.mark.parametrize("name", sampler.SAMPLERS)
def test_trajectories_of_a_formula_agree(name: str, diffusion: dict[str, Any], chain: str) -> None:
    trajectories({**diffusion, "num_steps": 40}, name, CHAINS[chain]).require()


@pytest.mark.parametrize("spacing", get_args(Spacing))
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("total", [40, 41, 1000])
def test_the_same_timesteps_are_visited(total: int, schedule: ScheduleName, spacing: Spacing) -> None:
    diffusions = GaussianDiffusion(total, schedule), TheirDiffusion(total, schedule)
    for num_steps in (None, 1, 2, 5, 7, 10, 20, 39, 40):
        left, right = sampler.both("ddim", num_steps=num_steps, spacing=spacing)
        np.testing.assert_array_equal(left.chain(diffusions[0]), right.chain(diffusions[1]))


@pytest.mark.parametrize("name", sampler.SAMPLERS)
def test_trajectories_of_a_network_agree(name: str) -> None:
    for check in sampler.check(Pair(cases.SMALL_DIT), name, num_steps=12, guidance=2.1, guidance_interval=[18, 72]):
        check.require()


def test_trajectories_of_a_network_with_maps_agree() -> None:
    pair = Pair(cases.EVERY_MODULE["SetViT-SpatialContext-UNet"])
    for check in sampler.check(pair, "DDIM", num_steps=4, guidance=2.1):
        check.require()


def test_trajectories_of_classes_agree() -> None:
    pair = Pair(cases.COMBINATIONS["ClassEmbedding-film-Discrete-DiT"])
    for check in sampler.check(pair, "DDIM", num_steps=4, guidance=2.1):
        check.require()


def test_trajectories_of_a_time_conditioned_network_agree() -> None:
    for check in sampler.check(Pair(cases.SMALL_UNET), "DDIM", num_steps=6):
        check.require()


def test_trajectories_agree_in_single_precision() -> None:
    for check in sampler.check(Pair(cases.SMALL_DIT, "float32"), "DDIM", num_steps=12):
        check.require()
