"""What half a unit in the last place of a low precision does to a module, in float64."""

import copy
import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity_tests.pairing.alone import Arrays, torch_vjp
from parity_tests.pairing.arrays import is_float, with_arrays
from parity_tests.pairing.calls import Call
from parity_tests.pairing.precision.precisions import Precision
from parity_tests.pairing.precision.torch_results import changed_results

SEEDS = 4
Effects = dict[str, float]


def half_unit_effects(call: Call, precision: Precision, seeds: int = SEEDS) -> tuple[Effects, Effects]:
    """How far a torch module's outputs and gradients move when all that a low precision rounds is moved by half a unit.

    TTrace (arXiv 2506.09280) moves inputs and weights. Here every result in between is moved too, forwards and
    backwards, and operands of products by the half unit that they are rounded to: so a module without products is held
    to float32 where only products are short.

    Args:
        call: in float64.
        precision: whose units.
        seeds: independent ones.

    Returns:
        For outputs and for gradients, by the names of `torch_vjp`: root mean square over entries and seeds, `()`.
    """
    truth = torch_vjp(call)
    moved = [_moved(call, precision, torch.Generator().manual_seed(seed)) for seed in range(seeds)]

    def effects(part: int) -> Effects:
        found = {}
        for name, value in truth[part].items():
            each = [root_mean_square(run[part][name] - value) for run in moved]
            rounded = precision.rounding * root_mean_square(value)  # as a result itself is, whatever came before
            found[name] = float(np.maximum(rounded, root_mean_square(np.array(each))))  # NaN stays
        return found

    return effects(0), effects(1)


def root_mean_square(value: np.ndarray) -> float:
    """Of all entries; 0 of none."""
    return float(np.sqrt(np.square(value.astype(np.float64)).mean())) if value.size else 0.0


def _moved(call: Call, precision: Precision, random: torch.Generator) -> tuple[Arrays, Arrays]:
    def move(tensor: Tensor, half_unit: float) -> Tensor:
        return tensor * (1 + half_unit * (2 * torch.rand(tensor.shape, generator=random, dtype=tensor.dtype) - 1))

    def of_floats(array: Any) -> Any:
        return move(array, precision.rounding) if is_float(array) else array

    def summand(tensor: Tensor, count: int) -> Tensor:  # a running sum is rounded at every step, and is itself longer
        return move(tensor, precision.products + precision.rounding * math.sqrt(count / 2))

    module: Any = copy.deepcopy(call.run)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(of_floats(parameter))
    args, kwargs = with_arrays((call.args, dict(call.kwargs)), of_floats)
    operand, product = (partial(move, half_unit=unit) for unit in (precision.operands, precision.products))
    with changed_results(operand, lambda found: product(of_floats(found)), summand, of_floats):
        return torch_vjp(call._replace(args=args, kwargs=kwargs, run=module))
