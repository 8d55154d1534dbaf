"""One training step of a shipped config in the JAX reference, compiled."""

from collections.abc import Callable

import jax
import numpy as np
import optax  # type: ignore[import-untyped]

from jax_reference.config import read_config
from jax_reference.experiment import build_model
from jax_reference.train_step import make_train_step, start_training
from jax_reference.training.draws import draw


def make_jax_step(config: str, episodes: int) -> Callable[[], object]:
    """What `one_step.make_step` does: forward, backward, AdamW, EMA of a batch; returns when it is done."""
    settings, source = read_config(config).model, np.random.default_rng(0)
    experiment = build_model(settings)
    model, diffusion = experiment.model, experiment.diffusion
    model.train()
    optimizer = optax.adamw(1e-4, weight_decay=0.0)
    train_step = make_train_step(model, diffusion, optimizer, experiment.kl_weight)
    shape = (episodes, settings["n_shot"] + 1, settings["channels"], *[settings["image_size"]] * 2)
    images = source.uniform(-1, 1, shape).astype(np.float32)
    noise = model.context_noise_shape(shape[1])
    draws = draw(images, diffusion.num_steps, noise, 0.0, source, model.context_noise_kind)
    state = start_training(model, optimizer)

    def step() -> object:
        nonlocal state
        state, terms = train_step(state, images, draws)
        return jax.block_until_ready((state.params, terms))

    return step
