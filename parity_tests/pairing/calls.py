"""One call of a module, as either side records it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Call(NamedTuple):
    """What a module was given and gave back, and how to run it again.

    Attributes:
        name: of the module, its path joined by `/` in JAX and by `.` in torch; empty for the whole network.
        kind: name of its class.
        args: positional arguments.
        kwargs: by name.
        output: whatever it returned.
        run: the module as a pure function: of arguments in torch, of all parameters and then arguments in JAX.
    """

    name: str
    kind: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any
    run: Callable[..., Any]
