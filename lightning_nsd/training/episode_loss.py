"""The loss of episodes: noise them, denoise every image given the others, compare."""

from jaxtyping import Float
from torch import Tensor

from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.loss import diffusion_loss_terms
from lightning_nsd.model.few_shot_denoiser import FewShotDenoiser
from lightning_nsd.training.draws import Draws


def episode_loss(
    model: FewShotDenoiser,
    diffusion: GaussianDiffusion,
    images: Float[Tensor, "B N C H W"],
    draws: Draws,
    kl_weight: float,
    shown: Float[Tensor, "B N C_s H_s W_s"] | None = None,
) -> dict[str, Float[Tensor, " B*N"]]:
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
    x_0 = images.flatten(0, 1)  # (B·N, C, H, W)
    t = draws.t.repeat_interleave(n)  # (B·N,)
    x_t = diffusion.q_sample(x_0, t, draws.noise)
    seen = images if shown is None else shown
    output, kl_context = model(seen, x_t, draws.t, draws.context_noise, draws.dropped, draws.classes)
    terms = diffusion_loss_terms(diffusion, output, x_0, x_t, t, draws.noise)
    loss = terms["mse"] + terms["vb"] if "vb" in terms else terms["mse"]
    if kl_context is None:
        return {**terms, "loss": loss}
    return {**terms, "kl_context": kl_context, "loss": loss + kl_weight * kl_context}


def batch_means(terms: dict[str, Float[Tensor, " b"]]) -> dict[str, Float[Tensor, " b"] | Float[Tensor, ""]]:
    """The terms with `loss`, and `kl_context` where there is one, as means over the batch."""
    return {name: value.mean() if name in ("loss", "kl_context") else value for name, value in terms.items()}
