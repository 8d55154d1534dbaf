"""A flax.linen module with its variables."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import linen

from parity_tests.pairing.calls import Call
from parity_tests.pairing.jax_sides.side import JaxSide, Parameters, flatten, with_arrays_of

PARAMS = "params"


class LinenSide(JaxSide):
    """Parameters and statistics by their path inside their collection: a BatchNorm's are `bn/scale` and `bn/mean`."""

    def __init__(self, module: linen.Module, variables: Mapping[str, Any]) -> None:
        self.module = module
        self.variables = dict(variables) if PARAMS in variables else {PARAMS: variables}
        self.parameters = {}
        for tree in self.variables.values():
            self.parameters |= {path: np.asarray(value) for path, value in flatten(tree).items()}
        self.statistics = frozenset(self.parameters.keys() - flatten(self.variables[PARAMS]).keys())

    def apply(self, parameters: Parameters, *args: Any, **kwargs: Any) -> Any:
        return self.module.apply(self._variables(parameters, ()), *args, **kwargs)

    def record(self, parameters: Parameters, *args: Any, **kwargs: Any) -> list[Call]:
        calls: list[Call] = []

        def keep(following: Any, args: Any, kwargs: Any, context: linen.module.InterceptorContext) -> Any:
            output = following(*args, **kwargs)
            if context.method_name == "__call__":
                path, alone = context.module.path, context.module.clone(parent=None)
                calls.append(
                    Call("/".join(path), type(alone).__name__, args, kwargs, output, self._runner(alone, path))
                )
            return output

        with linen.intercept_methods(keep):
            self.apply(parameters, *args, **kwargs)
        return calls

    def _runner(self, module: linen.Module, path: tuple[str, ...]) -> Any:
        def run(parameters: Parameters, *args: Any, **kwargs: Any) -> Any:
            return module.apply(self._variables(parameters, path), *args, **kwargs)

        return run

    def _variables(self, parameters: Parameters, path: tuple[str, ...]) -> dict[str, Any]:
        """The variables of the module at a path."""
        found = {}
        for collection, tree in self.variables.items():
            for part in path:
                tree = tree.get(part, {}) if isinstance(tree, Mapping) else {}
            found[collection] = with_arrays_of(tree, parameters, "/".join(path))
        return found
