"""Every module of a pairing in a low precision."""

from collections.abc import Sequence

from parity_tests.check import of_module_gradients, of_module_outputs
from parity_tests.pairing.alone import Arrays, NotAlone
from parity_tests.pairing.key_map import KeyMap
from parity_tests.pairing.module_map import Paired
from parity_tests.pairing.precision.precisions import Precision
from parity_tests.pairing.precision.run import low_precision_fractions
from parity_tests.pairing.report import Finding


def find_in(precision: Precision, pairs: Sequence[Paired], key_map: KeyMap, parameters: Arrays) -> list[Finding]:
    """The fractions of all modules' outputs and of their vector-Jacobian products, see `low_precision_fractions`.

    Args:
        precision: to run in.
        pairs: calls in float64, in forward order.
        key_map: of the networks.
        parameters: JAX's, float64.
    """
    outputs: dict[str, float] = {}
    gradients: dict[str, float] = {}
    words: dict[str, str] = {}
    for pair in pairs:
        name = f"{pair.name} ({pair.ours.kind})"
        try:
            found = low_precision_fractions(pair, key_map, parameters, precision)
        except NotAlone as why:
            words[name] = f"not run alone: {why}"
            continue
        outputs[name] = max(found.outputs.values())
        if found.gradients:
            gradients[name] = max(found.gradients.values())
    checks = (of_module_outputs(precision.name, outputs), of_module_gradients(precision.name, gradients))
    return [Finding(check, words) for check in checks if check.errors]
