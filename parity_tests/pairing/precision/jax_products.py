"""A JAX function whose matrix products and convolutions are given rounded numbers, its derivatives' as well."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

PRODUCTS = ("dot_general", "conv_general_dilated")
INLINED = ("jaxpr", "call_jaxpr", "fun_jaxpr")
"""What functions inside a function are called; they are written out."""
LOOPS = ("scan", "while", "cond")


def with_rounded_products(function: Callable[..., Any], bits: int) -> Callable[..., Any]:
    """The function with float32 operands of products rounded to so many bits of the fraction, to the nearest.

    A derivative's products are rounded where the whole derivative is such a function: round last.

    Args:
        function: of arrays in tuples, lists and dictionaries.
        bits: 7 for bfloat16, 10 for TF32.
    """

    def changed(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        found = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(args), bits)
        return jax.tree.unflatten(jax.tree.structure(shapes), found)

    return changed


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], bits: int) -> list[Any]:
    """A function's results, equation by equation."""
    values: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))
    for equation in jaxpr.eqns:
        given = [v.val if isinstance(v, Literal) else values[v] for v in equation.invars]
        values |= zip(equation.outvars, _apply(equation, given, bits), strict=True)
    return [v.val if isinstance(v, Literal) else values[v] for v in jaxpr.outvars]


def _apply(equation: Any, given: list[Any], bits: int) -> list[Any]:
    name, params = equation.primitive.name, dict(equation.params)
    if name in PRODUCTS:
        given = [lax.reduce_precision(x, 8, bits) if x.dtype == "float32" else x for x in given]
    elif name in LOOPS:
        params = {key: _rounded(value, bits) for key, value in params.items()}
    elif inside := next((params[key] for key in INLINED if key in params), None):
        open_one, consts = (inside.jaxpr, inside.consts) if isinstance(inside, ClosedJaxpr) else (inside, ())
        return _evaluate(open_one, consts, given, bits)
    found = equation.primitive.bind(*given, **params)
    return list(found) if equation.primitive.multiple_results else [found]


def _rounded(value: Any, bits: int) -> Any:
    """The functions of a loop with rounded products; anything else as it is."""
    if isinstance(value, ClosedJaxpr):
        inside = with_rounded_products(jaxpr_as_fun(value), bits)
        return jax.make_jaxpr(inside)(*(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in value.in_avals))
    return tuple(_rounded(part, bits) for part in value) if isinstance(value, tuple) else value
