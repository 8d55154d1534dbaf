"""Exponential moving average of the weights, computed inside the training step."""

import torch
from torch import Tensor, nn

from lightning_nsd.processes.sharding import whole
from lightning_nsd.tables.sent import sent


def ema_decay_at(step: int, decay: float, warmup: bool) -> float:
    """The decay of update number `step` (1 is the first): min(decay, (1 + step) / (10 + step)) with warm-up."""
    return min(decay, (1 + step) / (10 + step)) if warmup else decay


@torch.no_grad()
def update_ema(ema: nn.Module, model: nn.Module, decay: float) -> None:
    """ema ← ema + (1 − decay) · (model − ema), for every parameter at once.

    Nothing is read back, so the update joins the step's graph under XLA. The weight crosses in a tensor of two: XLA
    shares numbers of equal value, and a weight that meets another number of the graph at some step (1/2, while it
    warms up) would be another graph there.
    """
    averages: list[Tensor] = list(ema.parameters())
    weight, _ = sent(torch.tensor([1.0 - decay, decay], dtype=averages[0].dtype), averages[0].device).unbind()
    change = torch._foreach_sub(whole(model.parameters()), averages)
    torch._foreach_mul_(change, weight)
    torch._foreach_add_(averages, change)
