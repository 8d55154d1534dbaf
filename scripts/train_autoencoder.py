"""Trains a small AutoencoderKL on the images of a data set, for a first model of latents where no large one is at hand.

    python scripts/train_autoencoder.py --data Glyphs --out runs/autoencoder

It learns the training classes alone: mean absolute error of the decoded images, and a little of the KL of the latents
to a standard normal distribution (Rombach et al. 2022, arXiv 2112.10752, without its adversarial and perceptual terms).
The folder is what `model.autoencoder.init_args.path` takes. It prints how far decoded images of the validation classes
are from the real ones.
"""

import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn
from tqdm import trange

from lightning_nsd.commands.function_cli import run_function
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.files.whole_file import check_place
from lightning_nsd.pictures import grid, write_picture

BATCH = 32
KL_WEIGHT = 1e-4
SHOWN = 12


def decoded(network: Any, images: Tensor) -> Tensor:
    """Images `(n, C, H, W)` there and back, by the mean of their latents."""
    with torch.no_grad():
        return network.decode(network.encode(images).latent_dist.mean).sample


def train(
    data: EpisodeDataModule,
    out: Path,
    steps: int = 800,
    latent_channels: int = 4,
    levels: int = 3,
    channels: int = 16,
    seed: int = 0,
) -> None:
    """Train, print the error, write the folder and a picture of images and what becomes of them.

    Args:
        data: whose training classes it learns.
        out: folder to write.
        steps: of the optimiser.
        latent_channels: of a latent.
        levels: of the network; each but the first halves the image.
        channels: of the first level; twice as many at the next, up to four times.
        seed: of everything random.
    """
    check_place(out / "config.json", "--out")
    data.prepare_data()
    torch.manual_seed(seed)
    images = {split: data.image_set(split).images for split in ("train", "val")}
    network: Any = AutoencoderKL(
        in_channels=data.channels,
        out_channels=data.channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=tuple(channels * min(2**level, 4) for level in range(levels)),
        latent_channels=latent_channels,
        norm_num_groups=8,
        sample_size=data.image_size,
    )
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    with trange(steps, desc="autoencoder") as bar:
        for _ in bar:
            batch = to_unit_range(images["train"][torch.randint(len(images["train"]), (BATCH,))])
            posterior = network.encode(batch).latent_dist
            error = F.l1_loss(network.decode(posterior.sample()).sample, batch)
            loss = error + KL_WEIGHT * posterior.kl().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            bar.set_postfix(error=f"{error.item():.4f}")

    network.eval()
    some = to_unit_range(images["train"][torch.randperm(len(images["train"]))[:1024]])
    with torch.no_grad():
        deviation = torch.cat([network.encode(part).latent_dist.mean for part in some.split(BATCH)]).std()
    network.register_to_config(scaling_factor=1 / float(deviation))
    network.save_pretrained(out)
    held_out = to_unit_range(images["val"][torch.randperm(len(images["val"]))[:256]])
    there_and_back = torch.cat([decoded(network, part) for part in held_out.split(BATCH)]).clamp(-1, 1)
    error = (there_and_back - held_out).abs().mean() / 2
    print(f"{out}: images of held-out classes come back with a mean error of {error:.4f} of the range of a pixel")
    rows = [part[:SHOWN] for part in (held_out, there_and_back)]
    write_picture(out / "there_and_back.png", grid(rows))


if __name__ == "__main__":
    run_function(train, sys.argv[1:])
