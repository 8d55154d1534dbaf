"""The loss of episodes: noise them, denoise every image given the others, compare."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jax_reference.diffusion.gaussian import GaussianDiffusion
from jax_reference.diffusion.loss import diffusion_loss_terms
from jax_reference.model.few_shot_denoiser import FewShotDenoiser
from jax_reference.training.draws import Draws


def episode_loss(
    model: FewShotDenoiser,
    diffusion: GaussianDiffusion,
    images: Float[Array, "B N C H W"],
    draws: Draws,
    kl_weight: float,
    shown: Float[Array, "B N C_s H_s W_s"] | None = None,
) -> dict[str, Float[Array, " B*N"]]:
    """The loss of every image and what it is made of.

    Args:
        model: the network.
        diffusion: the process, and what the network predicts.
        images: episodes, in [-1, 1], or their latents.
        draws: of the batch.
        kl_weight: weight of the KL of a variational or discrete context.
        shown: what the encoder sees, where it is not `images`.

    Returns:
        `mse`, `vb` with a learned variance, `kl_context` with a variational or discrete context, and
        `loss` = mse + vb + kl_weight · kl_context.
    """
    n = images.shape[1]
    x_0 = images.reshape(-1, *images.shape[2:])  # (B·N, C, H, W)
    t = jnp.repeat(draws.t, n)  # (B·N,)
    x_t = diffusion.q_sample(x_0, t, draws.noise)
    seen = images if shown is None else shown
    output, kl_context = model(seen, x_t, draws.t, draws.context_noise, draws.dropped, draws.classes)
    terms = diffusion_loss_terms(diffusion, output, x_0, x_t, t, draws.noise)
    loss = sum(terms.values(), start=jnp.zeros((), output.dtype))
    if kl_context is None:
        return {**terms, "loss": loss}
    return {**terms, "kl_context": kl_context, "loss": loss + kl_weight * kl_context}


def batch_means(terms: dict[str, Float[Array, " b"]]) -> dict[str, Float[Array, " b"] | Float[Array, ""]]:
    """The terms with `loss`, and `kl_context` where there is one, as means over the batch."""
    means = {name: jnp.mean(terms[name]) for name in terms.keys() & {"loss", "kl_context"}}
    return {**terms, **means}
