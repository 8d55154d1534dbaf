"""The key table is a bijection, or an error that names the parameter."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

from jax_reference.written_out.layers import Conv2d, LayerNorm, Linear
from lightning_nsd.convert import jax_layout
from parity_tests import cases
from parity_tests.pair import Pair
from parity_tests.pairing.key_map import UnmatchedParameter
from parity_tests.weights import copy_weights, key_map, state_of


class Torch(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(2, width)
        self.conv = nn.Conv2d(2, 4, 3)
        self.norm = nn.LayerNorm(5)


class Jax(nnx.Module):
    def __init__(self, extra: bool = False) -> None:
        rngs = nnx.Rngs(0)
        self.linear = Linear(2, 3, rngs=rngs)
        self.conv = Conv2d(2, 4, 3, rngs=rngs)
        self.norm = LayerNorm(5, eps=1e-6)
        if extra:
            self.extra = nnx.Param(jnp.zeros(1))


def test_layouts_of_linear_and_convolution_are_transposed() -> None:
    ours = Torch()
    arrays = key_map(ours, Jax()).to_jax(state_of(ours))
    np.testing.assert_array_equal(arrays["linear/kernel"], ours.linear.weight.detach().numpy().T)
    kernel = ours.conv.weight.detach().numpy().transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(arrays["conv/kernel"], kernel)


def test_a_parameter_that_only_torch_has_is_named() -> None:
    ours = Torch()
    ours.additional = nn.Parameter(torch.zeros(2))
    with pytest.raises(UnmatchedParameter, match="additional"):
        key_map(ours, Jax())


def test_a_parameter_that_only_jax_has_is_named() -> None:
    with pytest.raises(UnmatchedParameter, match=r"JAX's extra \(1,\) has none in torch"):
        key_map(Torch(), Jax(extra=True))


def test_a_parameter_of_another_shape_is_named() -> None:
    with pytest.raises(UnmatchedParameter, match=r"linear\.weight.*\(2, 7\).*where JAX has.*\(2, 3\)"):
        key_map(Torch(width=7), Jax())


def test_models_without_parameters_are_an_error() -> None:
    with pytest.raises(UnmatchedParameter, match="no parameters"):
        key_map(nn.Identity(), LayerNorm(3, eps=1e-6, affine=False))


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_a_state_that_does_not_fit_is_named(change: str) -> None:
    ours = Torch()
    table, state = key_map(ours, Jax()), state_of(ours)
    if change == "missing":
        del state["conv.bias"]
    elif change == "extra":
        state["conv.bias2"] = state["conv.bias"]
    else:
        state["conv.bias"] = np.zeros(9)
    with pytest.raises(UnmatchedParameter, match=r"conv\.bias"):
        table.to_jax(state)


@pytest.mark.parametrize("name", cases.EVERY_MODULE)
def test_weights_go_there_and_back_bit_by_bit(name: str) -> None:
    pair = Pair(cases.EVERY_MODULE[name])
    back = pair.key_map.to_torch(pair.arrays)
    state = pair.ours.model.state_dict()
    assert back.keys() == state.keys()
    for key, value in state.items():
        np.testing.assert_array_equal(back[key], value.numpy(), err_msg=key)


def test_the_converter_takes_weights_there_as_the_ladder_does_and_back() -> None:
    ours = Torch()
    arrays = jax_layout.to_jax(ours)
    expected = key_map(ours, Jax()).to_jax(state_of(ours))
    assert arrays.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(arrays[path], value, err_msg=path)
    back = jax_layout.from_jax(ours, arrays, "arrays")
    assert all(torch.equal(back[key], value) for key, value in ours.state_dict().items())


def test_loading_puts_every_parameter_in_its_place() -> None:
    ours, theirs = Torch().double(), Jax()
    copy_weights(ours, theirs)
    x = np.linspace(-1, 1, 4).reshape(2, 2)
    np.testing.assert_allclose(theirs.linear(jnp.asarray(x)), ours.linear(torch.from_numpy(x)).detach(), rtol=1e-14)
