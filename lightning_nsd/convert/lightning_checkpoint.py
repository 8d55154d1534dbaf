"""A checkpoint of the JAX source as one that `fit --ckpt_path` continues from."""

from typing import Any

import torch
from lightning.pytorch import Trainer, __version__
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from lightning_nsd.accelerators.device import answer_for_lightning
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.convert.jax_source import SourceCheckpoint, build
from lightning_nsd.convert.source_keys import to_state_dict
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.training.groups import parameter_groups


def continue_from(source: SourceCheckpoint) -> dict[str, Any]:
    """Weights, moving average, Adam's moments and the step, laid out as Lightning lays out a checkpoint.

    Raises:
        UserError: parameters or moments that are missing, left over or mis-shaped.
    """
    module = build(source)
    optimizer = _optimizer(module, source)
    scheduler = LambdaLR(optimizer, lambda _: 1.0)
    scheduler.last_epoch, scheduler._step_count = source.step, source.step + 1
    return {
        "epoch": 0,
        "global_step": source.step,
        "pytorch-lightning_version": __version__,
        "state_dict": dict(module.state_dict()),
        "loops": {"fit_loop": _loops_after(source.step)},
        "callbacks": {},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [scheduler.state_dict()],
        HYPERPARAMETERS: module.hyperparameters,
    }


def _optimizer(module: FewShotDiffusion, source: SourceCheckpoint) -> torch.optim.AdamW:
    """AdamW with the source's rate, decay and moments."""
    config = source.config
    optimizer = torch.optim.AdamW(
        parameter_groups(module.model, None, None),
        lr=float(config.get("lr", 1e-4)),
        weight_decay=float(config.get("weight_decay", 0.0)),
    )
    if source.moments is None:
        return optimizer
    first, second = (
        to_state_dict(source.entries, module.model, moment, f"{source.path} (Adam's {name})")
        for name, moment in zip(("mu", "nu"), source.moments, strict=True)
    )
    step = torch.tensor(float(source.count))
    trained = ((key, p) for key, p in module.model.named_parameters() if p.requires_grad)
    for key, parameter in trained:
        state: dict[str, Tensor] = {"step": step.clone(), "exp_avg": first[key], "exp_avg_sq": second[key]}
        optimizer.state[parameter] = state
    return optimizer


def _loops_after(step: int) -> dict[str, Any]:
    """Lightning's counters of a run that took `step` optimiser steps and stands at the start of an epoch."""
    answer_for_lightning()
    loops = Trainer(logger=False, accelerator="cpu", enable_model_summary=False).fit_loop.state_dict()
    done = {"ready": step, "completed": step}
    loops["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"].update(done)
    loops["epoch_loop.scheduler_progress"]["total"].update(done)
    loops["epoch_loop.batch_progress"]["total"].update(done, started=step, processed=step)
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] = step
    return loops
