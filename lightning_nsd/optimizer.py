"""The optimiser of a network's parameter groups, from a user's factory."""

from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import nn
from torch.optim import Optimizer

from lightning_nsd.model.few_shot_denoiser import FewShotDenoiser
from lightning_nsd.muon import MuonWithAdamW
from lightning_nsd.settings.numbers import RATE, check_numbers
from lightning_nsd.training.groups import matrix_groups, parameter_groups


def make_optimizer(
    factory: OptimizerCallable, model: FewShotDenoiser, encoder_lr: float | None, denoiser_lr: float | None
) -> Optimizer:
    """The optimiser of both groups, see `optimizer_groups`.

    Raises:
        UserError: a learning rate that is none.
    """
    optimizer = factory(optimizer_groups(factory, model, encoder_lr, denoiser_lr))
    for group in optimizer.param_groups:
        check_numbers("model.optimizer.", {"lr": RATE}, group)
    # A fused one would unscale 16-bit gradients by itself, after they were clipped; so Lightning would not clip.
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
    return optimizer


def optimizer_groups(
    factory: OptimizerCallable, model: FewShotDenoiser, encoder_lr: float | None, denoiser_lr: float | None
) -> list[dict[str, Any]]:
    """Parameter groups as a factory's optimiser takes them: Muon's are divided once more.

    It is tried on one matrix first: one that does not fit says so before the run's folder is touched.
    """
    trial = nn.Parameter(torch.zeros(2, 2))
    trial.grad = torch.zeros_like(trial)
    tried = factory([trial])
    tried.step()
    divided = matrix_groups if isinstance(tried, MuonWithAdamW) else parameter_groups
    return divided(model, encoder_lr, denoiser_lr)
