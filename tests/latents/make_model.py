"""The smallest model of latents."""

from functools import partial
from typing import Any

from lightning_nsd.latents.autoencoder import Autoencoder
from lightning_nsd.module import FewShotDiffusion
from tests.conftest import make_model, tiny_dit, tiny_set_vit


def latent_model(autoencoder: Autoencoder, **settings: Any) -> FewShotDiffusion:
    """Of latents of 2 × 2 pixels."""
    parts = {"encoder": partial(tiny_set_vit, patch_size=2), "denoiser": partial(tiny_dit, patch_size=1)}
    return make_model(ema_decay=0.9, context_dropout=0.2, autoencoder=autoencoder, **parts, **settings)
