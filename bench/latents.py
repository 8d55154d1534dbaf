"""Seconds of a training step on latents that were made once, beside the same step that encodes its batch, in one run.

    python bench/latents.py --data Glyphs --config glyphs_long.yaml --autoencoder runs/autoencoder [--rounds 5]

Both train the config's model with the autoencoder named, in turn. `memory` is what the latents of the training split
take, and its images.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import yaml

from lightning_nsd.checkpoints.loading import build_model
from lightning_nsd.commands.function_cli import run_function
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.data.encoding_cache import encodings_on_host
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.settings.config_files import find_config
from lightning_nsd.training.latents import sample_latents


def build(config: str, data: EpisodeDataModule, autoencoder: Path) -> FewShotDiffusion:
    """The config's model with another autoencoder, with fresh weights."""
    content = yaml.safe_load(Path(find_config(config)).read_text(encoding="utf-8"))
    shape = {"image_size": data.image_size, "channels": data.channels, "n_shot": data.n_shot}
    described = {"class_path": "DiffusersAutoencoder", "init_args": {"path": str(autoencoder)}}
    return build_model({**content["model"], **shape, "autoencoder": described}, config)


def make_step(module: FewShotDiffusion, data: EpisodeDataModule, encodes: bool) -> Callable[[int], None]:
    """A function that trains the step of a batch's number: latents, forward, backward, AdamW."""
    optimizer = torch.optim.AdamW(module.model.parameters(), lr=1e-4)

    def step(number: int) -> None:
        batch = data.training_batch(number)
        images = to_unit_range(batch.images)
        posterior = module.space.posterior(images, None if encodes else batch.latents)
        assert posterior is not None
        latents = sample_latents(posterior, torch.randn_like(posterior[:, :, 0]))
        t = torch.randint(module.diffusion.num_steps, (len(latents),))
        loss = module.loss_terms(latents, t, torch.randn_like(latents.flatten(0, 1)))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def measure(data: EpisodeDataModule, config: str, autoencoder: Path, rounds: int = 5) -> None:
    """Print the medians as JSON.

    Args:
        data: what is trained on.
        config: whose model is trained.
        autoencoder: folder of an AutoencoderKL.
        rounds: steps of each kind, after one that is not counted.
    """
    torch.manual_seed(0)
    module = build(config, data, autoencoder)
    assert module.space.autoencoder is not None
    start = time.perf_counter()
    data.use_encodings("latents", encodings_on_host(module.space.autoencoder))
    latents = data.encodings("train")["latents"]
    making = time.perf_counter() - start
    steps = {name: make_step(module, data, name == "encoding") for name in ("made_once", "encoding")}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step(number)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    images = data.image_set("train").images
    found = {
        "seconds_per_step": medians,
        "ratio": medians["encoding"] / medians["made_once"],
        "seconds_to_make_all": making,
        "memory_mb": {"latents": latents.nbytes / 1e6, "images": images.nbytes / 1e6},
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    run_function(measure, sys.argv[1:])
