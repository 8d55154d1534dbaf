"""Rung 2: every module on its own, given the same inputs: its output, and its vector-Jacobian product.

In a low precision it is the only rung, with the whole networks among the modules.
"""

from collections.abc import Iterator

import torch
from flax import nnx

from parity_tests.check import Check, of_module_gradients, of_module_outputs
from parity_tests.compare import errors_of
from parity_tests.pair import Inputs, Pair
from parity_tests.pairing.alone import run_alone
from parity_tests.pairing.calls import Call
from parity_tests.pairing.jax_sides.nnx_side import pure
from parity_tests.pairing.layouts import same_layout
from parity_tests.pairing.module_map import Paired
from parity_tests.pairing.precision.precisions import PRECISIONS
from parity_tests.pairing.precision.run import low_precision_fractions
from parity_tests.pairing.torch_side import recording
from parity_tests.tolerances import GRADIENT_FLOOR, LowPrecision

GRADIENT = "module gradient"  # the line of the table of tolerances
WHOLE_NETWORKS = ("", "encoder", "denoiser")  # the next rung


def forward_calls(pair: Pair, inputs: Inputs) -> dict[str, Call]:
    """What every torch module is given in one forward pass, support contexts and maps included."""
    with torch.no_grad(), recording(pair.ours.model) as calls:
        pair.ours.model.support_context(pair.on_device(pair.support(inputs)), pair.on_device(inputs.t))
        pair.ours.model.support_maps(pair.on_device(inputs.images[:, 1:]))
        pair.ours.loss_terms(*(pair.on_device(value) for value in inputs))
    return {call.name: call for call in calls}


def paired(call: Call, theirs: nnx.Module) -> Paired:
    """A torch module's call beside the module of JAX that should give the same."""
    path = call.name.replace(".", "/")
    return Paired(call.name, call, call._replace(name=path, run=pure(theirs, path)))


def title(call: Call) -> str:
    """How a module is called in tables."""
    return f"{call.name or 'network'} ({call.kind})"


def check_call(pair: Pair, call: Call, theirs: nnx.Module) -> Iterator[Check]:
    """Output and vector-Jacobian product of one module for one call's inputs."""
    run = run_alone(paired(call, theirs), pair.key_map, pair.arrays, same_layout)
    what = title(call)
    yield Check("module", what, pair.dtype, errors_of(*run.outputs))
    if run.gradients[1]:
        errors = errors_of(*run.gradients, GRADIENT_FLOOR[pair.dtype])
        yield Check("module", f"{what}, gradients", pair.dtype, errors, GRADIENT)


def check_call_in(precision: LowPrecision, pair: Pair, call: Call, theirs: nnx.Module) -> Iterator[Check]:
    """The same of a module that runs in a low precision, of a pair in float64."""
    outputs, gradients = low_precision_fractions(
        paired(call, theirs), pair.key_map, pair.arrays, PRECISIONS[precision], same_layout
    )
    what = title(call)
    yield Check("module", what, precision, outputs)
    if gradients:
        yield Check("module", f"{what}, gradients", precision, gradients)


def check(
    pair: Pair, inputs: Inputs, precision: LowPrecision | None = None, whole_networks: bool = False
) -> Iterator[Check]:
    """Every module that both sides have, in forward order.

    Args:
        pair: in float64 for a low precision.
        inputs: of the pair.
        precision: a low one.
        whole_networks: among the modules; there always in a low precision.
    """
    theirs = {".".join(map(str, path)): module for path, module in nnx.iter_modules(pair.theirs)}
    for name, call in forward_calls(pair, inputs).items():
        if name not in theirs or isinstance(theirs[name], nnx.Dropout | nnx.List):
            continue
        if precision is not None:
            yield from check_call_in(precision, pair, call, theirs[name])
        elif whole_networks or name not in WHOLE_NETWORKS:
            yield from check_call(pair, call, theirs[name])


def summary(checks: Iterator[Check]) -> Iterator[Check]:
    """All outputs as one check and all gradients as another, each module with its worst error, in forward order."""
    outputs: dict[str, float] = {}
    gradients: dict[str, float] = {}
    for check in checks:
        name, is_gradient = check.what.removesuffix(", gradients"), check.what.endswith(", gradients")
        (gradients if is_gradient else outputs)[name] = check.worst.error
        dtype = check.dtype
    yield of_module_outputs(dtype, outputs)
    yield of_module_gradients(dtype, gradients)
