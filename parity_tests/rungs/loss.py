"""Rung 4: each term of the loss, and its gradient by every parameter."""

from collections.abc import Iterator

from parity_tests.check import Check
from parity_tests.compare import errors_of
from parity_tests.pair import Inputs, Pair
from parity_tests.tolerances import GRADIENT_FLOOR


def check(pair: Pair, inputs: Inputs) -> Iterator[Check]:
    """Terms, then gradients in the order of the parameters."""
    our_terms, our_gradients = pair.our_loss(inputs)
    their_terms, their_gradients = pair.their_loss(inputs)
    yield Check("loss", "terms", pair.dtype, errors_of(our_terms, their_terms))
    errors = errors_of(our_gradients, their_gradients, GRADIENT_FLOOR[pair.dtype])
    yield Check("loss", f"gradients of {len(errors)} parameters", pair.dtype, errors)
