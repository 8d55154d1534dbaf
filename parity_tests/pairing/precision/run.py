"""A pair of modules run in a low precision, and how far they are apart against what that precision can do."""

import copy
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import torch

from parity_tests.compare import SMALLEST
from parity_tests.pairing.alone import Arrays, Layouts, Run, run_alone
from parity_tests.pairing.arrays import is_float, with_arrays
from parity_tests.pairing.calls import Call
from parity_tests.pairing.key_map import KeyMap
from parity_tests.pairing.layouts import data_layouts
from parity_tests.pairing.module_map import Paired
from parity_tests.pairing.precision.half_units import half_unit_effects, root_mean_square
from parity_tests.pairing.precision.jax_products import with_rounded_products
from parity_tests.pairing.precision.precisions import Precision
from parity_tests.pairing.precision.torch_results import changed_results, round_to

MULTIPLE = 4.0
"""How many times what half a unit does two honest sides may be apart."""


class Fractions(NamedTuple):
    """Differences as fractions of what is allowed, 1 at most where both sides are honest.

    Attributes:
        outputs: by name.
        gradients: likewise.
    """

    outputs: dict[str, float]
    gradients: dict[str, float]


def low_precision_fractions(
    pair: Paired, key_map: KeyMap, parameters: Arrays, precision: Precision, layouts: Layouts = data_layouts
) -> Fractions:
    """Run both modules of a pair in a low precision on what torch's was given.

    The root mean square of their difference, over `MULTIPLE` times what half a unit in the last place of everything
    that is rounded does to torch's module in float64.

    Args:
        pair: calls in float64.
        key_map: of the networks.
        parameters: JAX's, of the whole network, float64.
        precision: to run in.
        layouts: in which an activation may stand in JAX.

    Raises:
        NotAlone: the two are given other arrays.
    """
    run = run_low(pair, key_map, parameters, precision, layouts)
    outputs, gradients = half_unit_effects(pair.ours, precision)
    return Fractions(_fractions(*run.outputs, outputs), _fractions(*run.gradients, gradients))


def _fractions(ours: Arrays, theirs: Arrays, effects: Mapping[str, float]) -> dict[str, float]:
    found = {}
    for name, value in ours.items():
        apart, allowed = root_mean_square(value.astype(np.float64) - theirs[name]), MULTIPLE * effects.get(name, 0.0)
        judged = np.isfinite(apart) and np.isfinite(allowed)
        found[name] = apart / max(SMALLEST, allowed) if judged else float("inf")
    return found


def run_low(pair: Paired, key_map: KeyMap, parameters: Arrays, precision: Precision, layouts: Layouts) -> Run:
    """Both modules in a low precision: torch's outputs and gradients, and JAX's."""
    low = Paired(pair.name, _torch_call(pair.ours, precision), _jax_call(pair.theirs, precision))
    cast = {path: np.asarray(value, jnp.dtype(precision.dtype)) for path, value in parameters.items()}
    through = None if precision.bits is None else partial(with_rounded_products, bits=precision.bits)
    with ExitStack() as stack:
        if precision.autocast:
            stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        elif precision.bits is not None:
            stack.enter_context(changed_results(operand=round_to(precision.bits)))
        return run_alone(low, key_map, cast, layouts, through)


def _torch_call(call: Call, precision: Precision) -> Call:
    dtype = getattr(torch, precision.dtype)
    args, kwargs = with_arrays((call.args, dict(call.kwargs)), lambda a: a.to(dtype) if is_float(a) else a)
    module: Any = copy.deepcopy(call.run)
    return call._replace(args=args, kwargs=kwargs, run=module.to(dtype))


def _jax_call(call: Call, precision: Precision) -> Call:
    def cast(array: Any) -> Any:
        return jnp.asarray(array, precision.dtype) if is_float(array) else array

    args, kwargs = with_arrays((call.args, dict(call.kwargs)), cast)
    return call._replace(args=args, kwargs=kwargs)
