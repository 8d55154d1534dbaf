"""Exponential moving average of the weights, computed inside the training step."""

import torch
from torch import nn


def ema_decay_at(step: int, decay: float, warmup: bool) -> float:
    """The decay of update number `step` (1 is the first): min(decay, (1 + step) / (10 + step)) with warm-up."""
    return min(decay, (1 + step) / (10 + step)) if warmup else decay


@torch.no_grad()
def update_ema(ema: nn.Module, model: nn.Module, decay: float) -> None:
    """ema ← decay · ema + (1 − decay) · model, for every parameter at once.

    The decay is a number of the host's and nothing is read back, so the update joins the step's graph under XLA.
    (Not `_foreach_lerp_`: its formula changes where the weight passes 1/2, which is another graph.)
    """
    averages = list(ema.parameters())
    torch._foreach_mul_(averages, decay)
    torch._foreach_add_(averages, list(model.parameters()), alpha=1.0 - decay)
