"""Training from the YAML that lightning_nsd trains from, on the same episodes."""

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm import tqdm

from jax_reference import orbax_checkpoint
from jax_reference.config import Config
from jax_reference.experiment import Experiment, Shape, build_model
from jax_reference.model.class_embedding import ClassEmbedding
from jax_reference.train_step import TrainState, make_train_step, split, start_training
from jax_reference.training.draws import Draws, draw
from jax_reference.training.latents import sample_latents
from jax_reference.written_out.adamw import adamw
from lightning_nsd.checkpoints.loading import describe_model
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import write_text
from lightning_nsd.processes.stopping import StoppedError
from lightning_nsd.rng import Stream, philox

CHECKPOINT = "last.orbax"
METRICS = Path("logs") / "metrics.csv"


def write_metrics(path: Path, row: dict[str, Any]) -> None:
    """Add a line to a CSV; the first line also writes the columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists() or not path.stat().st_size  # a process may have ended before its first line
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def forget_metrics_from(path: Path, step: int) -> None:
    """Leave out the lines of `step` and later: a run that goes on from an earlier checkpoint writes them again."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        numbers = [line.split(",")[0] for line in lines[1:]]
        kept = [
            line for line, number in zip(lines[1:], numbers, strict=True) if number.isdigit() and int(number) < step
        ]
        write_text(path, "".join([*lines[:1], *kept]))


def inputs_of(
    number: int, config: Config, experiment: Experiment, dtype: Any
) -> tuple[jax.Array, Draws, jax.Array | None]:
    """What a step computes with: images `(B, N, C, H, W)` or latents, what is drawn, and what the encoder is shown."""
    model, diffusion, batch = experiment.model, experiment.diffusion, config.data.training_batch(number)
    images, shown = to_unit_range(batch.images).numpy().astype(dtype), None
    if batch.latents is not None:
        shown = jnp.asarray(images) if config.space.shows_images else None
        posterior = batch.latents.numpy().astype(dtype)
        images = posterior[:, :, 0]
    if batch.features is not None:
        shown = jnp.asarray(batch.features.numpy().astype(dtype))
    draws = draw(
        images,
        diffusion.num_steps,
        model.context_noise_shape(images.shape[1]),
        experiment.context_dropout,
        philox(config.seed, Stream.TRAIN_NOISE, number),
        model.context_noise_kind,
        batch.latents is not None,
        experiment.timestep_sampling,
    )
    if model.takes_classes:
        draws = draws._replace(classes=jnp.asarray(batch.class_numbers().numpy()))
    x = jnp.asarray(images)
    if draws.latent_noise is not None:
        x = sample_latents(jnp.asarray(posterior), draws.latent_noise)
    return x, draws, shown


def fit(config: Config, root: Path, max_steps: int, resume: bool = False, params: Any = None) -> TrainState:
    """Train; write the checkpoint and the log in `root`, and show progress.

    Args:
        max_steps: where the run ends; annealing too.
        resume: continue from the checkpoint in `root`.
        params: where training starts, a pure dictionary of arrays, instead of freshly drawn parameters. Images and
            noise are in their dtype.

    Raises:
        ValueError: `params` of another model.
        UserError: a loss that is not finite; weights that are not, which are not saved; a checkpoint of another model;
            data of another number of classes than a class embedding has.
        KeyboardInterrupt, StoppedError: a signal ended it; the last step that was done is saved.
    """
    space = config.space
    shapes = Shape(space.size, space.channels), Shape(*space.seen)
    experiment = build_model(config.model, nnx.Rngs(config.seed), *shapes)
    settings = replace(experiment.optimizer, gradient_clip=config.gradient_clip, total_steps=float(max_steps))
    optimizer = adamw(settings)
    model, diffusion = experiment.model, experiment.diffusion
    if isinstance(model.encoder, ClassEmbedding):
        config.data.check_classes(model.encoder.num_classes)
    model.train()
    train_step = make_train_step(
        model, diffusion, optimizer, experiment.kl_weight, experiment.ema_decay, experiment.ema_warmup
    )
    if params is not None:
        if jax.tree.map(np.shape, params) != jax.tree.map(np.shape, split(model)[1]):
            raise ValueError("the parameters to start from are of another model")
        nnx.update(model, params)
    state = start_training(model, optimizer)
    if resume:
        state = orbax_checkpoint.restore(root / CHECKPOINT, state, describe_model(config.model, config.path))
    elif (root / METRICS).exists():
        (root / METRICS).unlink()
    dtype = jnp.result_type(*jax.tree.leaves(state.params))

    start = saved = int(state.step)
    forget_metrics_from(root / METRICS, start)
    try:
        with tqdm(total=max_steps, initial=start, unit="step") as progress:
            for number in range(start, max_steps):
                x, draws, shown = inputs_of(number, config, experiment, dtype)
                state, terms = train_step(state, x, draws, shown)
                progress.update()
                if (number + 1) % config.log_every == 0 or number == start:
                    means = {f"train/{name}": float(np.mean(value)) for name, value in terms.items()}
                    if not math.isfinite(means["train/loss"]):
                        raise UserError(
                            f"The loss is {means['train/loss']} at step {number + 1}; {CHECKPOINT} is of step {saved}. "
                            f"{orbax_checkpoint.WHAT_HELPS}"
                        )
                    progress.set_postfix(loss=f"{means['train/loss']:.4f}")
                    write_metrics(root / METRICS, {"step": number, **means})
                if (number + 1) % config.save_every == 0 or number + 1 == max_steps:
                    orbax_checkpoint.save(root / CHECKPOINT, state, config.model)
                    saved = number + 1
    except (KeyboardInterrupt, StoppedError):
        if int(state.step) > saved:
            orbax_checkpoint.save(root / CHECKPOINT, state, config.model)
        raise
    return state
