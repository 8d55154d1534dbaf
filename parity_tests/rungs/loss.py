"""Rung 4: each term of the loss, and its gradient by every parameter; and the bits per dimension."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import torch

from jax_reference.diffusion import likelihood as their_likelihood
from jax_reference.diffusion import strata as their_strata
from jax_reference.training import episode_bits as their_bits
from lightning_nsd.accelerators.device import run_recorded
from lightning_nsd.diffusion import likelihood as our_likelihood
from lightning_nsd.diffusion import strata as our_strata
from lightning_nsd.rng import philox
from lightning_nsd.training import episode_bits as our_bits
from parity_tests.check import Check
from parity_tests.compare import errors_of
from parity_tests.pair import Inputs, Pair
from parity_tests.pairing.arrays import to_jax, to_numpy
from parity_tests.tolerances import GRADIENT_FLOOR, Dtype

COUNTS = ((100, None), (100, 100), (100, 3), (100, 4), (100, 31), (1000, 100), (12, 11), (7, 6), (4, 3))
"""T, and how many timesteps are visited."""


def check(pair: Pair, inputs: Inputs) -> Iterator[Check]:
    """Terms, then gradients in the order of the parameters."""
    our_terms, our_gradients = pair.our_loss(inputs)
    their_terms, their_gradients = pair.their_loss(inputs)
    yield Check("loss", "terms", pair.dtype, errors_of(our_terms, their_terms))
    errors = errors_of(our_gradients, their_gradients, GRADIENT_FLOOR[pair.dtype])
    yield Check("loss", f"gradients of {len(errors)} parameters", pair.dtype, errors)


def bits_terms(pair: Pair, inputs: Inputs) -> Check:
    """What the first episode's images cost at the batch's timesteps and at the prior, each with its own noise.

    t = 0 is left to `op.bits`, for a network that is nearly right: see `Pair.inputs`. As many timesteps as a batch has
    episodes: what is compiled for the loss serves again.
    """
    images, t = inputs.images[0], np.maximum(inputs.t, 1)
    noise = inputs.noise.reshape(len(t), *images.shape)
    xi = None if inputs.context_noise is None else inputs.context_noise[: len(images)]
    with torch.no_grad():
        on_device = [pair.on_device(value) for value in (images, t, noise, xi)]
        left = our_bits.episode_terms(pair.ours.model, pair.ours.diffusion, *on_device)._asdict()
        left["prior"] = our_likelihood.prior_bits(pair.ours.diffusion, on_device[0])
        run_recorded(pair.device)
    right = their_bits.episode_terms(pair.theirs, pair.diffusion, *map(to_jax, (images, t, noise, xi)))._asdict()
    right["prior"] = their_likelihood.prior_bits(pair.diffusion, to_jax(images))
    a, b = ({name: to_numpy(value) for name, value in side.items()} for side in (left, right))
    return Check("loss", "bits per dimension, terms", pair.dtype, errors_of(a, b))


def bits_of(strata: ModuleType, bits: ModuleType, steps: int, count: int | None) -> dict[str, Any]:
    """Which timesteps one side visits, and what it makes of terms of five images at these that fall as 1/t."""
    chosen = strata.draw_strata(steps, count, philox(13, steps))
    random, shape = philox(14, steps), (len(chosen.timesteps), 5)
    terms = random.uniform(1, 2, shape) / (1 + chosen.timesteps[:, None])
    context, prior = random.uniform(size=shape), random.uniform(size=5)
    found = {
        f"{name}, context by {'time' if timed else 'image'}": value
        for timed in (False, True)
        for name, value in bits.episode_bits(chosen, terms, context, prior, timed)._asdict().items()
    }
    return {**chosen._asdict(), **found}


def bits_sums(dtype: Dtype) -> Check:
    """The timesteps that are visited, and the sums and errors from these; float64 whatever the model's dtype."""
    errors: dict[str, float] = {}
    for steps, count in COUNTS:
        left, right = (bits_of(*side, steps, count) for side in ((our_strata, our_bits), (their_strata, their_bits)))
        errors |= {f"{name}, {count} of {steps}": error for name, error in errors_of(left, right, 1e-3).items()}
    return Check("loss", "bits per dimension, sums", dtype, errors)


def bits(pair: Pair, inputs: Inputs) -> Iterator[Check]:
    """The bits per dimension of a pair's images, where its contexts are of images and drawn from normal noise."""
    if not pair.ours.model.takes_classes and pair.ours.model.context_noise_kind != "uniform":
        yield bits_terms(pair, inputs)
    yield bits_sums(pair.dtype)
