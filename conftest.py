"""Signatures are checked while tests run, shapes included, and nowhere else."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

PACKAGES = ("lightning_nsd", "jax_reference")
ROOMS = ("model", "diffusion", "training", "metrics")


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with its arguments and result checked; constructors explain wrong settings themselves."""
    if function.__qualname__.endswith(".__init__"):
        return function
    return beartype(conf=BeartypeConf(is_pep484_tower=True))(function)  # a float may be an int


install_import_hook([f"{package}.{room}" for package in PACKAGES for room in ROOMS], "conftest.checked")
