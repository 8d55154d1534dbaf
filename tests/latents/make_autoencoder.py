"""A tiny AutoencoderKL with seeded weights, in the folder that diffusers would write."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL

FACTOR = 4


def make_autoencoder(folder: Path, channels: int = 3, seed: int = 0) -> Path:
    """Latents of two channels, one for each 4 × 4 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = AutoencoderKL(
            in_channels=channels,
            out_channels=channels,
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(4, 4, 8),
            latent_channels=2,
            norm_num_groups=2,
            scaling_factor=0.5,
            shift_factor=0.1,
        )
    network.save_pretrained(folder)  # type: ignore[attr-defined]
    return folder
