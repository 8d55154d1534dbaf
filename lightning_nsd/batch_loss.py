"""The loss of a batch as the data gives it: its latents and its random numbers are drawn here."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from lightning_nsd.data.episodes import EpisodeBatch
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.latents.latent_space import LatentSpace
from lightning_nsd.model.few_shot_denoiser import FewShotDenoiser
from lightning_nsd.random_source import RandomSource
from lightning_nsd.training.draws import TimestepSampling, draw
from lightning_nsd.training.episode_loss import episode_loss
from lightning_nsd.training.latents import sample_latents


def batch_loss(
    model: FewShotDenoiser,
    diffusion: GaussianDiffusion,
    space: LatentSpace,
    batch: EpisodeBatch,
    source: Callable[[Tensor], RandomSource],
    context_dropout: float,
    kl_weight: float,
    draw_contexts: bool,
    timestep_sampling: TimestepSampling = "uniform",
) -> dict[str, Float[Tensor, " B*N"]]:
    """The terms of every image of a batch; see `episode_loss`.

    Args:
        model: the network.
        diffusion: the process, and what the network predicts.
        space: where the model draws, and what its encoder sees.
        batch: episodes.
        source: random numbers of an array's device and type.
        context_dropout: probability of the null context.
        kl_weight: weight of the KL of a variational or discrete context.
        draw_contexts: draw such contexts instead of taking their means.
        timestep_sampling: how an episode's timestep is drawn.
    """
    posterior = space.posterior(batch.images, batch.latents)
    images = batch.images if posterior is None else posterior[:, :, 0]  # (B, N, C, H, W)
    noise_shape = model.context_noise_shape(images.shape[1]) if draw_contexts else None
    kind, latent = model.context_noise_kind, posterior is not None
    parts = (noise_shape, context_dropout, source(images), kind, latent, timestep_sampling)
    draws = draw(images, diffusion.num_steps, *parts)
    if model.takes_classes:
        draws = draws._replace(classes=batch.class_numbers())
    if posterior is not None and draws.latent_noise is not None:
        images = sample_latents(posterior, draws.latent_noise)
    return episode_loss(model, diffusion, images, draws, kl_weight, space.shown_of(batch, images))
