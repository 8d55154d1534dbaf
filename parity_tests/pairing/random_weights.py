"""Random weights of a usual size for any torch network."""

import torch
from torch import nn

from lightning_nsd.convert.jax_layout import torch_parameters
from lightning_nsd.rng import philox


def randomize(module: nn.Module, seed: int) -> None:
    """Give every parameter random values of a usual size, also those that start at zero or one.

    A gate that starts at zero would hide everything behind it. So would running statistics that are those of nothing.
    """
    owners = dict(module.named_modules())
    for index, (key, parameter) in enumerate(torch_parameters(module).items()):
        values = torch.from_numpy(philox(seed, index).standard_normal(tuple(parameter.shape)))
        owner = owners[key.rpartition(".")[0]]
        if key.endswith("running_var"):
            values = 1 + 0.2 * values.abs()
        elif isinstance(owner, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) and parameter.dim() > 1:
            values = values * parameter[0].numel() ** -0.5
        elif isinstance(owner, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d) and key.endswith("weight"):
            values = 1 + 0.2 * values
        elif parameter.dim() == 1:
            values = 0.2 * values
        elif parameter.dim() == 0:
            values = parameter.detach() + 0.2 * values
        with torch.no_grad():
            parameter.copy_(values)
