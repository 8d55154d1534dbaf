"""The latents of a batch, drawn from their posteriors (Rombach et al. 2022, arXiv 2112.10752)."""

from jaxtyping import Float
from torch import Tensor


def sample_latents(
    posterior: Float[Tensor, "B N 2 C h w"], latent_noise: Float[Tensor, "B N C h w"]
) -> Float[Tensor, "B N C h w"]:
    """mean + standard deviation · noise.

    Args:
        posterior: mean and standard deviation.
        latent_noise: see `Draws`.
    """
    mean, std = posterior[:, :, 0], posterior[:, :, 1]  # (B, N, C, h, w)
    return mean + std * latent_noise
