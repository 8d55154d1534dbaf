"""Shapes are checked in these tests and nowhere else, and a promise that differs between the frameworks is noticed."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float, Int, TypeCheckError
from torch import Tensor

from jax_reference.diffusion.gaussian import GaussianDiffusion
from jax_reference.metrics.frechet import frechet_distance
from jax_reference.model.patches import patchify
from jax_reference.training.episode_loss import batch_means
from parity_tests.shapes import shapes, shapes_of

ROOT = Path(__file__).parent.parent
WRONG: dict[str, Callable[[], object]] = {
    "model": lambda: patchify(jnp.zeros((2, 4, 4)), 2),
    "diffusion": lambda: GaussianDiffusion().q_sample(jnp.zeros((2, 3, 4, 4)), jnp.array([1]), jnp.zeros((2, 3, 4, 4))),
    "training": lambda: batch_means({"loss": jnp.zeros((2, 2))}),
    "metrics": lambda: frechet_distance(np.zeros((3, 2)), np.zeros((3, 4))),
}
PLAIN = """
import sys, jax_reference.train, jax.numpy as jnp
from jax_reference.training.episode_loss import batch_means
assert "beartype" not in sys.modules and not hasattr(batch_means, "__wrapped__")
batch_means({"loss": jnp.zeros((2, 2))})
"""


@pytest.mark.parametrize("room", WRONG)
def test_a_wrong_shape_is_an_error_in_every_room(room: str) -> None:
    with pytest.raises(TypeCheckError, match="Expected type"):
        WRONG[room]()


def test_shapes_are_checked_within_a_compiled_function() -> None:
    with pytest.raises(TypeCheckError, match="images"):
        jax.jit(patchify, static_argnums=1)(jnp.zeros((2, 4, 4)), 2)


def test_nothing_is_checked_outside_the_tests() -> None:
    assert hasattr(batch_means, "__wrapped__")
    subprocess.run([sys.executable, "-c", PLAIN], cwd=ROOT, check=True)


class Fields(NamedTuple):
    x: Float[Tensor, "b C"]
    n: int


def ours(x: Float[Tensor, "b C"], t: int, s: Iterator[Int[Tensor, " b"]]) -> Fields | None:
    return None


def theirs(x: Float[Array, "b C"], t: Int[Array, ""], s: Int[Array, "S b"]) -> dict[str, Float[Array, "b C"]]:
    return {"x": x}


def test_the_same_promise_reads_the_same_in_both_frameworks() -> None:
    assert shapes_of(ours) == {"x": "Float[b C]", "t": "Int[]", "s": "Int[S b]", "return": "Float[b C] | Int[] | None"}
    assert shapes_of(theirs) == {"x": "Float[b C]", "t": "Int[]", "s": "Int[S b]", "return": "Float[b C]"}


@pytest.mark.parametrize(
    "hint",
    [
        Float[Array, "b D"],
        Float[Array, "b C 1"],
        Int[Array, "b C"],
        Float[Array, "b C"] | None,
        tuple[Float[Array, "b C"], Float[Array, "b C"]],
        Callable[[int], Float[Array, "b C"]],
        bool,
    ],
    ids=str,
)
def test_another_shape_reads_otherwise(hint: object) -> None:
    assert shapes(hint) != shapes(Float[Tensor, "b C"]) == "Float[b C]"


@pytest.mark.parametrize("hint", [Tensor, jax.Array | None, dict[str, np.ndarray], Iterator[Tensor]], ids=str)
def test_an_array_without_a_shape_is_an_error(hint: object) -> None:
    with pytest.raises(TypeError, match="has no shape"):
        shapes(hint)
