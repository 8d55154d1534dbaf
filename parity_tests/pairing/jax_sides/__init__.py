"""JAX networks of every usual library, each as a function of a flat parameter tree."""

from typing import Any

from flax import linen, nnx

from parity_tests.pairing.jax_sides.function_side import FunctionSide
from parity_tests.pairing.jax_sides.linen_side import LinenSide
from parity_tests.pairing.jax_sides.nnx_side import NnxSide
from parity_tests.pairing.jax_sides.side import JaxSide


def jax_side(network: Any) -> JaxSide:
    """The side of a network.

    Args:
        network: an nnx module; `(linen module, variables)`; an equinox module; or `(function, parameter tree)`.

    Raises:
        TypeError: something else.
    """
    if isinstance(network, JaxSide):
        return network
    if isinstance(network, nnx.Module):
        return NnxSide(network)
    if isinstance(network, tuple) and len(network) == 2:
        module, tree = network
        if isinstance(module, linen.Module):
            return LinenSide(module, tree)
        if callable(module):
            return FunctionSide(module, tree)
    if type(network).__module__.startswith("equinox") or _is_equinox(network):
        from parity_tests.pairing.jax_sides.equinox_side import EquinoxSide

        return EquinoxSide(network)
    raise TypeError(
        f"{type(network).__name__} is no network of JAX that is known: give a flax.nnx or an equinox module, a "
        "flax.linen module with its variables, (module, variables), or a function with its parameters, (function, tree)"
    )


def _is_equinox(network: Any) -> bool:
    return any(base.__module__.startswith("equinox.") for base in type(network).__mro__)
