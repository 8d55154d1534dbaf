"""In words, why one module gives something else on the other side."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from parity_tests.compare import relative_error
from parity_tests.pairing.alone import Run
from parity_tests.pairing.arrays import floats, to_numpy
from parity_tests.pairing.counterfactuals import Replaced, Seen, changes
from parity_tests.pairing.module_map import Paired
from parity_tests.pairing.relations import EXPLAINED, explain, permutation, where


def explain_module(pair: Paired, run: Run, within: float = EXPLAINED) -> str | None:
    """Why the outputs of a module that both sides run on the same inputs differ; None where nothing simple says it.

    An operation that would make torch's output JAX's comes first: it names what is done otherwise. Then relations
    between the outputs.

    Args:
        pair: the module's calls.
        run: what both sides gave.
        within: relative error that a relation may leave.
    """
    name = max(run.outputs[0], key=lambda n: relative_error(run.outputs[0][n], run.outputs[1][n]))
    ours, theirs = run.outputs[0][name], run.outputs[1][name]
    number = int(name.split()[-1])
    if words := _by_operation(pair, theirs, number, within) or _by_child(pair, theirs, number, within):
        return words
    return explain_arrays(ours, theirs, run.inputs, within)


def _by_operation(pair: Paired, theirs: np.ndarray, number: int, within: float) -> str | None:
    seen = Seen()
    with torch.no_grad(), seen:
        pair.ours.run(*pair.ours.args, **pair.ours.kwargs)
    for changed, only in changes(seen.functions):
        if _gives(pair, Replaced(changed, only), theirs, number, within):
            words = " and ".join(dict.fromkeys(variant.words for variant in changed))
            place = "" if only is None else f", the {only + 1}. time of {seen.functions.count(changed[0].function)}"
            return f"JAX's output is what torch's module gives with {words}{place}"
    return None


def _by_child(pair: Paired, theirs: np.ndarray, number: int, within: float) -> str | None:
    """Whether one of the module's parts is left out on the JAX side."""
    for name, child in pair.ours.run.named_modules():  # type: ignore[attr-defined]
        if name:
            handle = child.register_forward_hook(lambda _, args, output: args[0] if args else output)
            try:
                if _gives(pair, nullcontext(), theirs, number, within):
                    return f"JAX's output is what torch's module gives without {name}"
            finally:
                handle.remove()
    return None


def _gives(pair: Paired, mode: Any, theirs: np.ndarray, number: int, within: float) -> bool:
    """Whether torch's module gives JAX's output while something in it is changed."""
    try:
        with torch.no_grad(), mode:
            output = pair.ours.run(*pair.ours.args, **pair.ours.kwargs)
    except (TypeError, ValueError, RuntimeError, NotImplementedError, IndexError):  # it cannot be done so
        return False
    found = [to_numpy(leaf) for leaf in floats(output)]
    return (
        len(found) > number and found[number].shape == theirs.shape and relative_error(found[number], theirs) <= within
    )


def explain_arrays(
    ours: np.ndarray, theirs: np.ndarray, inputs: Mapping[str, np.ndarray], within: float = EXPLAINED
) -> str | None:
    """Why two arrays differ, by themselves.

    Args:
        ours: torch's.
        theirs: JAX's, in torch's layout.
        inputs: of the module whose outputs they are.
        within: relative error that a relation may leave.
    """
    return explain(ours, theirs, inputs, within) or permutation(ours, theirs, within) or where(ours, theirs, within)
