"""A plain function of a parameter tree."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity_tests.pairing.jax_sides.side import JaxSide, Parameters, flatten, with_arrays_of


class FunctionSide(JaxSide):
    """A function `(parameters, *args)` and its parameters; nothing is known of what is inside."""

    def __init__(self, function: Callable[..., Any], tree: Any) -> None:
        self.function = function
        self.tree = tree
        self.parameters = {path: np.asarray(value) for path, value in flatten(tree).items()}

    def apply(self, parameters: Parameters, *args: Any, **kwargs: Any) -> Any:
        return self.function(with_arrays_of(self.tree, parameters), *args, **kwargs)
