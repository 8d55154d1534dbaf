"""Rung 6: trajectories of a network that is a formula, for every sampler, then of real networks."""

import importlib
import pkgutil
from types import ModuleType, SimpleNamespace
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jax_reference import diffusion as their_package
from jax_reference.diffusion import ilvr as their_ilvr
from jax_reference.diffusion import sampler as theirs
from jax_reference.diffusion.gaussian import GaussianDiffusion as TheirDiffusion
from jax_reference.experiment import build_model
from lightning_nsd import diffusion as our_package
from lightning_nsd.diffusion import ilvr as our_ilvr
from lightning_nsd.diffusion import sampler as ours
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.schedule import ScheduleName
from lightning_nsd.diffusion.spacing import Spacing
from parity_tests import cases
from parity_tests.check import RUNGS, Check
from parity_tests.ladder import Ladder, Options
from parity_tests.pair import Pair
from parity_tests.run.samples import sample_both
from parity_tests.rungs import sampler
from parity_tests.tolerances import TOLERANCES

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
    steps = len(left_sampler.chain(our_diffusion))
    references = sampler.reference_noise(SHAPE, steps + 1, "float64")  # the last are the images

    def left(x_T: np.ndarray, noise: np.ndarray) -> Any:
        function = lambda x, t: network(torch, x, t.double(), channels)  # noqa: E731
        *of_steps, images = map(torch.from_numpy, references)
        return left_sampler.trajectory(
            our_diffusion, function, torch.from_numpy(x_T), lambda k: torch.from_numpy(noise[k]),
            our_ilvr.Reference(images, of_steps.__getitem__),
        )  # fmt: skip

    def right(x_T: np.ndarray, noise: np.ndarray) -> Any:
        function = lambda x, t: network(jnp, x, t.astype(float), channels)  # noqa: E731
        reference = their_ilvr.Reference(jnp.asarray(references[-1]), jnp.asarray(references[:-1]))
        with jax.disable_jit():  # compiling would take longer; the tests of networks compile
            return right_sampler.trajectory(their_diffusion, function, jnp.asarray(x_T), jnp.asarray(noise), reference)

    return sampler.compare(f"{name}, {chain}, {diffusion}", "float64", left, right, SHAPE, steps)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("diffusion", cases.DIFFUSIONS, ids=lambda d: f"{d['prediction']}-{d['variance']}")
@pytest.mark.parametrize("name", sampler.SAMPLERS)
def test_trajectories_of_a_formula_agree(name: str, diffusion: dict[str, Any], chain: str) -> None:
    trajectories({**diffusion, "num_steps": 40}, name, CHAINS[chain]).require()


@pytest.mark.parametrize("chain", ["trailing", "chosen, not clipped"])
@pytest.mark.parametrize("name", sampler.WITH_ILVR)
def test_trajectories_of_a_formula_held_to_references_agree(name: str, chain: str) -> None:
    for diffusion in cases.DIFFUSIONS:
        for until in (0, 20):  # 20 is one of those chosen
            of_ilvr = {"ilvr_factor": 2, "ilvr_until": until}
            trajectories({**diffusion, "num_steps": 40}, name, {**CHAINS[chain], **of_ilvr}).require()


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


def test_trajectories_of_a_network_held_to_its_support_sets_agree() -> None:
    for check in sampler.check(Pair(cases.SMALL_DIT), "DDPM", num=3, num_steps=6, ilvr_factor=4, ilvr_until=40):
        check.require()


def test_what_a_config_s_sampler_draws_with_references_agrees() -> None:
    of_ilvr = {"class_path": "DDIM", "init_args": {"num_steps": 3, "ilvr_factor": 4}}
    pair = Pair({**cases.COMBINATIONS["no-encoder-DiT"], "sampler": of_ilvr})
    support = pair.inputs().images[:, 1:]
    drawn = sample_both(pair.ours, build_model(pair.settings), pair.params, support, 3, "float64")
    np.testing.assert_allclose(drawn.ours, drawn.theirs, rtol=0, atol=TOLERANCES["sampler"]["float64"])


def test_the_ladder_compares_the_ilvr_of_a_config(monkeypatch: pytest.MonkeyPatch) -> None:
    of_ilvr = {"ilvr_factor": 2, "ilvr_until": 9}
    settings = {**cases.SMALL_DIT, "sampler": {"class_path": "DDPM", "init_args": of_ilvr}}
    checked: list[tuple[str, dict[str, Any]]] = []

    def check(pair: Pair, name: str, *_: int, **arguments: Any) -> tuple[()]:
        checked.append((name, arguments))
        return ()

    monkeypatch.setattr(sampler, "check", check)
    config: Any = SimpleNamespace(model=settings)
    assert not list(Ladder(config, Options(sampler_steps=4)).rung(RUNGS.index("sampler")))
    held = [(name, arguments) for name, arguments in checked if "ilvr_factor" in arguments]
    assert held == [(name, {"num_steps": 4, **of_ilvr}) for name in sampler.WITH_ILVR]


def test_trajectories_agree_in_single_precision() -> None:
    for check in sampler.check(Pair(cases.SMALL_DIT, "float32"), "DDIM", num_steps=12):
        check.require()
