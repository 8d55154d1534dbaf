"""Rung 1: single operations: embeddings, patches, attention, norms, activations, and the diffusion's formulas."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from jax_reference.diffusion import gaussian as their_gaussian
from jax_reference.diffusion import likelihood as their_likelihood
from jax_reference.diffusion import loss as their_loss
from jax_reference.model import attention as their_attention
from jax_reference.model import context as their_context
from jax_reference.model import discrete_context as their_discrete_context
from jax_reference.model import dit as their_dit
from jax_reference.model import embeddings as their_embeddings
from jax_reference.model import patches as their_patches
from jax_reference.model import set_encoder as their_set_encoder
from jax_reference.model import spatial_context as their_spatial_context
from jax_reference.model import unet_blocks as their_unet_blocks
from jax_reference.training import latents as their_latents
from jax_reference.written_out import layers
from lightning_nsd.diffusion import gaussian as our_gaussian
from lightning_nsd.diffusion import likelihood as our_likelihood
from lightning_nsd.diffusion import loss as our_loss
from lightning_nsd.model import attention as our_attention
from lightning_nsd.model import context as our_context
from lightning_nsd.model import discrete_context as our_discrete_context
from lightning_nsd.model import dit as our_dit
from lightning_nsd.model import embeddings as our_embeddings
from lightning_nsd.model import patches as our_patches
from lightning_nsd.model import set_encoder as our_set_encoder
from lightning_nsd.model import spatial_context as our_spatial_context
from lightning_nsd.model import unet_blocks as our_unet_blocks
from lightning_nsd.rng import philox
from lightning_nsd.training import latents as our_latents
from parity_tests.check import Check
from parity_tests.compare import errors_of
from parity_tests.pairing.arrays import leaves, to_jax, to_numpy
from parity_tests.pairing.random_weights import randomize
from parity_tests.tolerances import Dtype
from parity_tests.weights import copy_weights


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Random numbers, float64."""
    return scale * philox(4, seed, *shape).standard_normal(shape)


def compare(what: str, dtype: Dtype, ours: Any, theirs: Any, *arguments: Any) -> Check:
    """One function on both sides; floating arguments are cast to `dtype`."""
    cast = [a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arguments]
    left = ours(*(torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in cast))
    right = theirs(*map(to_jax, cast))
    a, b = ({f"{i}": to_numpy(a) for i, a in enumerate(leaves(side))} for side in (left, right))
    return Check("op", what, dtype, errors_of(a, b))


def compare_modules(what: str, dtype: Dtype, ours: torch.nn.Module, theirs: nnx.Module, *arguments: Any) -> Check:
    """One small module on both sides, with the same random weights."""
    ours.to(getattr(torch, dtype))
    randomize(ours, 5)
    copy_weights(ours, theirs)
    with torch.no_grad():
        return compare(what, dtype, ours, theirs, *arguments)


def tokens_and_images(dtype: Dtype) -> Iterator[Check]:
    """What is done to tokens and images without parameters."""
    images, tokens = normal(2, 3, 8, 8), normal(2, 6, 12)
    for patch in (1, 2, 4):
        cut = partial(our_patches.patchify, patch_size=patch), partial(their_patches.patchify, patch_size=patch)
        yield compare(f"patchify, {patch}", dtype, *cut, images)
        glue: list[Callable[[Any], Any]] = [
            partial(module.unpatchify, patch_size=patch, channels=3) for module in (our_patches, their_patches)
        ]
        yield compare(f"unpatchify, {patch}", dtype, *glue, normal(2, (8 // patch) ** 2, 3 * patch**2))
    yield compare(
        "leave one out", dtype, our_set_encoder.leave_one_out, their_set_encoder.leave_one_out, normal(2, 4, 3, 5, 5)
    )
    heads = partial(our_attention.split_heads, num_heads=3), partial(their_attention.split_heads, num_heads=3)
    yield compare("split heads", dtype, *heads, tokens)
    yield compare("merge heads", dtype, our_attention.merge_heads, their_attention.merge_heads, normal(2, 3, 5, 4))
    yield compare("modulate", dtype, our_dit.modulate, their_dit.modulate, tokens, normal(2, 12), normal(2, 12, seed=1))
    yield compare("vector as token", dtype, our_context.as_tokens, their_context.as_tokens, normal(2, 5))
    dropped = np.array([True, False])
    null = our_context.replace_by_null, their_context.replace_by_null
    for context in (normal(2, 5), normal(2, 3, 5)):
        yield compare(f"null context, {context.ndim} axes", dtype, *null, context, normal(5, seed=2), dropped)
    uniform = np.append(philox(4, 0).random(100), [0.0, 1e-7, 1.0 - 1e-7, 1.0])
    yield compare("gumbel", dtype, our_discrete_context.gumbel, their_discrete_context.gumbel, uniform)
    zero = our_spatial_context.zero_where, their_spatial_context.zero_where
    yield compare("null maps", dtype, *zero, normal(2, 5, 4, 4), dropped)


def embeddings(dtype: Dtype) -> Iterator[Check]:
    """Timestep features, and fixed positions, which are float64 whatever the model's dtype."""
    t, like = np.array([0, 1, 17, 500, 999]), normal(1)
    ours, theirs = our_embeddings.TimestepFeatures(), their_embeddings.TimestepFeatures()
    yield compare("timestep features", dtype, ours, theirs, t, like)
    for size, grid in ((8, 3), (64, 16)):
        a, b = ({"table": module.sincos_positions(size, grid)} for module in (our_embeddings, their_embeddings))
        yield Check("op", f"positions, {grid} × {grid}", dtype, errors_of(a, b))


def layer_types(dtype: Dtype) -> Iterator[Check]:
    """Layers and activations; the norms also for inputs so small that eps counts."""
    rngs = nnx.Rngs(0)
    wide = np.linspace(-6, 6, 101)
    yield compare("GELU", dtype, torch.nn.GELU(approximate="tanh"), layers.gelu, wide)
    yield compare("SiLU", dtype, torch.nn.SiLU(), layers.silu, wide)
    for scale in (1.0, 1e-3):
        x = normal(2, 6, 12, scale=scale)
        for eps in (1e-6, 1e-5):
            norms = torch.nn.LayerNorm(12, eps=eps), layers.LayerNorm(12, eps=eps)
            yield compare_modules(f"LayerNorm, eps {eps}, inputs × {scale}", dtype, *norms, x)
        for channels in (12, 48):
            norm = our_unet_blocks.group_norm(channels), their_unet_blocks.group_norm(channels)
            images = normal(2, channels, 4, 4, scale=scale)
            yield compare_modules(f"GroupNorm, {channels} channels, inputs × {scale}", dtype, *norm, images)
    for stride in (1, 2):
        convolutions = (
            torch.nn.Conv2d(3, 5, 3, stride=stride, padding=1),
            layers.Conv2d(3, 5, 3, stride=stride, padding=1, rngs=rngs),
        )
        yield compare_modules(f"convolution, stride {stride}", dtype, *convolutions, normal(2, 3, 8, 8))
    tokens = normal(2, 6, 12)
    yield compare_modules(
        "self-attention",
        dtype,
        our_attention.SelfAttention(12, 3, 5, qkv_bias=True),
        their_attention.SelfAttention(12, 3, 5, qkv_bias=True, rngs=rngs),
        tokens,
    )
    yield compare_modules(
        "locality self-attention",
        dtype,
        our_attention.LocalitySelfAttention(12, 3, 5),
        their_attention.LocalitySelfAttention(12, 3, 5, rngs=rngs),
        tokens,
    )
    yield compare_modules(
        "cross-attention",
        dtype,
        our_attention.CrossAttention(12, 7, 3, 5, qkv_bias=True),
        their_attention.CrossAttention(12, 7, 3, 5, qkv_bias=True, rngs=rngs),
        tokens,
        normal(2, 4, 7),
    )


def formulas(dtype: Dtype) -> Iterator[Check]:
    """The diffusion's formulas, for every prediction and variance, at the first, a middle and the last timestep."""
    x_0, x_t, eps = normal(4, 2, 3, 3).clip(-1, 1), normal(4, 2, 3, 3, seed=1), normal(4, 2, 3, 3, seed=2)
    t = np.array([0, 1, 50, 99])
    for prediction in ("eps", "x_0", "v"):
        for variance in ("fixed_large", "fixed_small", "learned"):
            arguments: Any = {"num_steps": 100, "prediction": prediction, "variance": variance}
            sides = our_gaussian.GaussianDiffusion(**arguments), their_gaussian.GaussianDiffusion(**arguments)
            kind = f"{prediction}, {variance}"
            yield compare(f"x_t, {kind}", dtype, *(side.q_sample for side in sides), x_0, t, eps)
            yield compare(f"target, {kind}", dtype, *(side.target for side in sides), x_0, t, eps)
            yield compare(f"posterior, {kind}", dtype, *(side.posterior for side in sides), x_0, x_t, t)
            output = normal(4, 4 if variance == "learned" else 2, 3, 3, seed=3)
            yield compare(f"p, {kind}", dtype, *(side.p_mean_variance for side in sides), output, x_t, t)


def likelihoods(dtype: Dtype) -> Iterator[Check]:
    """Distances of normal distributions; bins that are not far out in a tail (see `Pair.inputs`)."""
    mean, log_variance = normal(2, 3, 4, 4, scale=0.3), normal(2, 3, 4, 4, seed=1, scale=0.3) - 2
    other, other_log = normal(2, 3, 4, 4, seed=2, scale=0.3), normal(2, 3, 4, 4, seed=3, scale=0.3) - 2
    pixels = np.round(127.5 * (1 + normal(2, 3, 4, 4, seed=4).clip(-1, 1))) / 127.5 - 1  # some black, some white
    near = pixels + 0.5 * mean

    def kl(module: Any, gaussian: Any, *parameters: Any) -> Any:
        return module.normal_kl(gaussian.Gaussian(*parameters[:2]), gaussian.Gaussian(*parameters[2:]))

    def likelihood(module: Any, gaussian: Any, x: Any, *parameters: Any) -> Any:
        return module.discretized_log_likelihood(x, gaussian.Gaussian(*parameters))

    sides = (our_loss, our_gaussian), (their_loss, their_gaussian)
    yield compare("KL", dtype, *(partial(kl, *side) for side in sides), mean, log_variance, other, other_log)
    if dtype == "float64":  # a bin is a difference of two numbers near one half
        both = [partial(likelihood, *side) for side in sides]
        yield compare("likelihood of 8-bit images", dtype, *both, pixels, near, log_variance)
    x = np.linspace(-5, 5, 101)
    cdf = our_loss.approximate_normal_cdf, their_loss.approximate_normal_cdf
    yield compare("normal distribution function", dtype, *cdf, x)
    yield compare("mean over pixels", dtype, our_loss.mean_flat, their_loss.mean_flat, mean)


def latents(dtype: Dtype) -> Iterator[Check]:
    """Latents drawn from their posteriors."""
    draw = our_latents.sample_latents, their_latents.sample_latents
    yield compare("latents of posteriors", dtype, *draw, normal(2, 3, 2, 4, 4, 4), normal(2, 3, 4, 4, 4, seed=1))


def bound_at_the_first_step(dtype: Dtype) -> Iterator[Check]:
    """The variational bound at t = 0 of a network that is nearly right, and its gradient."""
    arguments: Any = {"num_steps": 100, "variance": "learned"}
    sides = our_gaussian.GaussianDiffusion(**arguments), their_gaussian.GaussianDiffusion(**arguments)
    x_0, noise, t = normal(2, 3, 4, 4).clip(-1, 1), normal(2, 3, 4, 4, seed=1), np.array([0, 0])
    x_t = to_numpy(sides[0].q_sample(*map(torch.from_numpy, (x_0, t, noise))))
    output = np.concatenate([noise + normal(2, 3, 4, 4, seed=2, scale=0.1), normal(2, 3, 4, 4, seed=3, scale=0.3)], 1)

    def ours(*values: Any) -> Any:
        leaf = values[0].requires_grad_()
        bound = our_loss.variational_bound(sides[0], leaf, *values[1:])
        bound.sum().backward()
        return bound, leaf.grad

    def theirs(*values: Any) -> Any:
        bound = partial(their_loss.variational_bound, sides[1])
        gradient = nnx.grad(lambda output: bound(output, *values[1:]).sum())(values[0])
        return bound(*values), jnp.asarray(gradient)

    if dtype == "float64":
        yield compare("variational bound at t = 0, and its gradient", dtype, ours, theirs, output, x_0, x_t, t)


def bits(dtype: Dtype) -> Iterator[Check]:
    """The terms of the bits per dimension of a network that is nearly right, at the first, some, and the last timestep.

    Its predictions are at times so far off that clipping counts. In single precision t = 0 is left out: see
    `likelihoods`.
    """
    pixels = np.round(127.5 * (1 + normal(4, 2, 3, 3).clip(-1, 1))) / 127.5 - 1  # some black, some white
    eps, off = normal(4, 2, 3, 3, seed=1), normal(4, 2, 3, 3, seed=2, scale=0.5)
    v = normal(4, 2, 3, 3, seed=3, scale=0.3)
    t = np.array([0 if dtype == "float64" else 2, 1, 50, 99])
    for schedule in ("linear", "cosine"):
        for prediction in ("eps", "x_0", "v"):
            for variance in ("fixed_large", "fixed_small", "learned"):
                arguments: Any = {
                    "num_steps": 100,
                    "schedule": schedule,
                    "prediction": prediction,
                    "variance": variance,
                }
                sides = our_gaussian.GaussianDiffusion(**arguments), their_gaussian.GaussianDiffusion(**arguments)
                given = [torch.from_numpy(values) for values in (pixels, t, eps)]
                x_t, target = to_numpy(sides[0].q_sample(*given)), to_numpy(sides[0].target(*given))
                output = target + (0.05 * off if prediction == "x_0" else off)
                output = np.concatenate([output, v], axis=1) if variance == "learned" else output
                both = partial(our_likelihood.step_bits, sides[0]), partial(their_likelihood.step_bits, sides[1])
                kind = f"{schedule}, {prediction}, {variance}"
                yield compare(f"bits of a step, {kind}", dtype, *both, output, pixels, x_t, t)
        prior = partial(our_likelihood.prior_bits, sides[0]), partial(their_likelihood.prior_bits, sides[1])
        yield compare(f"bits of the prior, {schedule}", dtype, *prior, pixels)


GROUPS = (tokens_and_images, embeddings, layer_types, formulas, likelihoods, latents, bound_at_the_first_step, bits)


def summary(dtype: Dtype) -> Iterator[Check]:
    """Every operation, a group of them as one check."""
    for group in GROUPS:
        errors = {check.what: check.worst.error for check in group(dtype)}
        if errors:
            yield Check("op", group.__name__.replace("_", " "), dtype, errors)
