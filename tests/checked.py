"""What is checked while tests run: arguments and results against their types, shapes included."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

PACKAGES = ("lightning_nsd", "jax_reference")
ROOMS = ("model", "diffusion", "training", "metrics")
MODULES = [f"{package}.{room}" for package in PACKAGES for room in ROOMS]


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with checks; constructors have none, because they explain wrong settings themselves."""
    if function.__qualname__.endswith(".__init__"):
        return function
    return beartype(conf=BeartypeConf(is_pep484_tower=True))(function)  # an int may stand for a float
