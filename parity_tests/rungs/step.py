"""Rung 5: optimiser steps. Groups, frozen parts, clipping, AdamW, the rate's schedule and the moving average."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from jax_reference import experiment as jax_experiment
from jax_reference.train_step import make_train_step, start_training
from jax_reference.training.draws import Draws
from jax_reference.written_out.adamw import adamw
from lightning_nsd.accelerators.device import run_recorded
from parity_tests.check import Check
from parity_tests.compare import errors_of
from parity_tests.pair import Pair
from parity_tests.pairing.arrays import to_jax, to_numpy
from parity_tests.weights import to_torch_state

BATCHES = 5  # that the steps go round


@dataclass
class Trainer:
    """What FewShotDiffusion asks of Lightning's trainer in a step."""

    estimated_stepping_batches: int
    global_step: int = 0


def our_steps(pair: Pair, steps: int, gradient_clip: float | None, batch: int) -> dict[str, Any]:
    """Losses, parameters and moving average of the torch side, by the hooks that Lightning calls, in its order."""
    module = pair.ours
    trainer = Trainer(steps)
    module.trainer = trainer  # type: ignore[assignment]
    configured: Any = module.configure_optimizers()
    optimizer, scheduler = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    results: dict[str, Any] = {}
    for step in range(steps):
        inputs = pair.inputs(batch, step % BATCHES)
        loss = module.loss_terms(*(pair.on_device(value) for value in inputs))["loss"]
        optimizer.zero_grad()
        loss.backward()
        module.on_before_optimizer_step(optimizer)
        if gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(module.model.parameters(), gradient_clip)
        optimizer.step()
        trainer.global_step += 1
        scheduler.step()
        run_recorded(pair.device)
        results[f"loss of step {step + 1}"] = to_numpy(loss)
    ema = {f"ema {k}": to_numpy(p) for k, p in module.evaluation_model.named_parameters()}
    return results | {k: to_numpy(p) for k, p in module.model.named_parameters()} | ema


def their_steps(pair: Pair, steps: int, gradient_clip: float | None, batch: int) -> dict[str, Any]:
    """The same of the JAX side, by its compiled training step."""
    settings = replace(
        jax_experiment.optimizer_settings(pair.settings), total_steps=float(steps), gradient_clip=gradient_clip
    )
    optimizer = adamw(settings)
    train_step = make_train_step(
        pair.theirs,
        pair.diffusion,
        optimizer,
        pair.kl_weight,
        pair.settings.get("ema_decay", 0.9999),
        pair.settings.get("ema_warmup", False),
    )
    state = start_training(pair.theirs, optimizer)
    results: dict[str, Any] = {}
    for step in range(steps):
        images, *draws = (to_jax(value) for value in pair.inputs(batch, step % BATCHES))
        state, terms = train_step(state, images, Draws(*draws))
        results[f"loss of step {step + 1}"] = to_numpy(terms["loss"])
    ema = {f"ema {k}": value for k, value in to_torch_state(pair.key_map, state.ema_params).items()}
    return results | to_torch_state(pair.key_map, state.params) | ema


def check(pair: Pair, steps: int, gradient_clip: float | None, batch: int = 2) -> Iterator[Check]:
    """The loss at each step, then parameters and moving average after the last. The pair's torch side is trained."""
    theirs = their_steps(pair, steps, gradient_clip, batch)
    errors = errors_of(our_steps(pair, steps, gradient_clip, batch), theirs)
    yield Check("step", f"{steps} steps: losses, parameters, moving average", pair.dtype, errors)
