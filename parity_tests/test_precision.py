"""Low precisions: they are what they say, honest sides pass in them, and derived tolerances catch faults."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import yaml
from jax import lax
from torch import nn

from parity_tests import cases, command
from parity_tests.campaign import in_campaign
from parity_tests.pair import Pair
from parity_tests.pairing import Pairing
from parity_tests.pairing.calls import Call
from parity_tests.pairing.faults.__main__ import pairing
from parity_tests.pairing.faults.table import FAULTS
from parity_tests.pairing.precision.half_units import half_unit_effects
from parity_tests.pairing.precision.jax_products import with_rounded_products
from parity_tests.pairing.precision.precisions import PRECISIONS
from parity_tests.pairing.precision.torch_results import changed_results, round_to
from parity_tests.rungs import module
from parity_tests.tolerances import LowPrecision

ALL: tuple[LowPrecision, ...] = get_args(LowPrecision)
TWO_PRODUCTS = np.random.default_rng(0).standard_normal((2, 4, 4)).astype(np.float32)
USUAL = ("SetViT-DiT", "ClassEmbedding-DiT")


def bits(value: np.ndarray) -> np.ndarray:
    return np.asarray(value, np.float32).view(np.int32)


# ---- rounding ----


@pytest.mark.parametrize("fraction", [7, 10])
def test_torch_rounds_as_jax_does(fraction: int) -> None:
    values = np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, -1 - 3 * 2.0**-11, 0.0], np.float32)
    x = np.concatenate([values, ties])
    ours = round_to(fraction)(torch.from_numpy(x)).numpy()
    assert (bits(ours) == bits(np.asarray(lax.reduce_precision(x, 8, fraction)))).all()
    if fraction == 7:
        assert (ours == torch.from_numpy(x).bfloat16().float().numpy()).all()
    assert (round_to(fraction)(torch.from_numpy(ours)).numpy() == ours).all()


def test_torch_products_are_given_rounded_numbers_backwards_too_and_their_bias_as_it_is() -> None:
    x, w, b = (torch.randn(shape, requires_grad=True) for shape in ((5, 4), (3, 4), (3,)))
    cotangent = torch.randn(5, 3)
    with changed_results(operand=round_to(7)):
        output = nn.functional.linear(x, w, b)
        output.backward(cotangent)
    short = [round_to(7)(tensor.detach()) for tensor in (x, w, cotangent)]
    assert torch.allclose(output, torch.addmm(b, short[0], short[1].T), atol=1e-6)
    assert x.grad is not None and w.grad is not None and b.grad is not None
    assert torch.allclose(x.grad, short[2] @ short[1], atol=1e-6)
    assert torch.allclose(w.grad, short[2].T @ short[0], atol=1e-6)
    assert torch.allclose(b.grad, cotangent.sum(0), atol=1e-6) and not torch.allclose(
        b.grad, short[2].sum(0), atol=1e-6
    )


def test_torch_convolutions_and_attention_are_products_too() -> None:
    convolution, images = nn.Conv2d(2, 3, 3), torch.randn(1, 2, 5, 5)
    q, k, v = torch.randn(3, 1, 2, 4, 8)
    for run in (lambda: convolution(images), lambda: nn.functional.scaled_dot_product_attention(q, k, v)):
        exact = run()
        with changed_results(operand=round_to(7)):
            rounded = run()
        assert 1e-4 < float((exact - rounded).detach().abs().max()) < 0.1


def looped(x: jax.Array, w: jax.Array) -> jax.Array:
    return lax.scan(lambda carry, _: (carry @ w, None), x, length=2)[0]


def chosen(x: jax.Array, w: jax.Array) -> jax.Array:
    return lax.cond(x[0, 0] < 100, lambda x: x @ w @ w, lambda x: x, x)


@jax.jit
def compiled(x: jax.Array, w: jax.Array) -> jax.Array:
    return x @ w @ w


@jax.checkpoint
def recomputed(x: jax.Array, w: jax.Array) -> jax.Array:
    return x @ w @ w


@pytest.mark.parametrize("function", [looped, chosen, compiled, recomputed])
def test_jax_products_are_rounded_wherever_they_stand(function: Callable[..., Any]) -> None:
    x, w = TWO_PRODUCTS
    short = [np.asarray(lax.reduce_precision(a, 8, 7)) for a in (x, w)]
    expected = lax.reduce_precision(short[0] @ short[1], 8, 7) @ short[1]
    assert np.allclose(with_rounded_products(function, 7)(x, w), expected, atol=1e-6)
    assert not np.allclose(function(x, w), expected, atol=1e-4)


def test_a_jax_derivative_has_rounded_products_of_its_own() -> None:
    x, w = TWO_PRODUCTS

    def gradient(x: Any, w: Any, cotangent: Any) -> Any:
        return jax.vjp(lambda x: jnp.tanh(x) @ w, x)[1](cotangent)[0]

    cotangent = np.random.default_rng(1).standard_normal((4, 4)).astype(np.float32)
    a, b = (np.asarray(lax.reduce_precision(value, 8, 7)) for value in (cotangent, w))
    expected = (a @ b.T) * (1 - np.tanh(x) ** 2)
    assert np.allclose(with_rounded_products(gradient, 7)(x, w, cotangent), expected, atol=1e-6)
    assert not np.allclose(gradient(x, w, cotangent), expected, atol=1e-4)


# ---- what is allowed ----


def effect_on(network: nn.Module, precision: LowPrecision, shape: tuple[int, ...] = (64, 32)) -> float:
    call = Call("layer", "", (torch.randn(shape, dtype=torch.float64),), {}, None, network.double().eval())
    return half_unit_effects(call, PRECISIONS[precision])[0]["output 0"]


def test_only_products_are_allowed_more_where_only_products_are_short() -> None:
    linear, norm = nn.Linear(32, 32), nn.LayerNorm(32)
    assert effect_on(linear, "tpu") > 1e3 * effect_on(norm, "tpu")
    assert 6 < effect_on(linear, "tpu") / effect_on(linear, "tf32") < 10  # three bits
    assert effect_on(norm, "bfloat16") > 1e3 * effect_on(norm, "tpu")


def test_a_running_sum_of_more_numbers_is_allowed_more() -> None:
    class Sum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum(1)

    short, long = (effect_on(Sum(), "tf32", (16, n)) for n in (64, 6400))
    assert 50 < long / short < 200


# ---- the ladder ----


@pytest.mark.parametrize("precision", ALL)
@pytest.mark.parametrize("name", in_campaign(cases.EVERY_MODULE, cases.EVERY_MODULE.keys() - set(USUAL)))
def test_honest_sides_pass_and_use_much_of_what_they_are_allowed(name: str, precision: LowPrecision) -> None:
    pair = Pair(cases.EVERY_MODULE[name])
    if precision == "bfloat16" and name in cases.NOT_IN_BFLOAT16:
        pytest.skip("its noise is infinite in bfloat16")
    checks = list(module.check(pair, pair.inputs(), precision))
    assert {"network", "denoiser"} <= {check.what.partition(" ")[0] for check in checks}
    for check in checks:
        check.require()
    assert max(check.worst.error for check in checks) > 0.1


def test_what_cannot_be_computed_in_a_precision_fails() -> None:
    pair = Pair(cases.EVERY_MODULE["ViT-DiT"])
    failed = [check for check in module.check(pair, pair.inputs(), "bfloat16") if not check.passed]
    assert failed and all(check.worst.error == float("inf") for check in failed)
    assert failed[0].what.startswith("context ")


SEEN_BELOW = {"SiLU": ALL, "ReLU": ALL, "not scaled": ALL, "eps = 0.001": ("tf32", "tpu")}


@pytest.mark.parametrize("words", in_campaign(SEEN_BELOW, ["SiLU"]))
def test_a_fault_is_named_in_every_precision_that_can_see_it(words: str) -> None:
    fault = next(fault for fault in FAULTS if fault.words == words)
    pair = pairing(fault)
    for precision in SEEN_BELOW[words]:
        assert pair.check_in(precision).first_module == fault.module, precision


def test_a_pairing_without_fault_passes_in_every_precision() -> None:
    pair = pairing(None)
    for precision in ALL:
        pair.check_in(precision).require()


def test_a_pairing_in_single_precision_cannot_derive_tolerances() -> None:
    pair = Pairing(nn.Linear(3, 3), (lambda p, x: x @ p["w"] + p["b"], {"w": np.ones((3, 3)), "b": np.ones(3)}),
                   (np.ones((2, 3)),), dtype="float32")  # fmt: skip
    with pytest.raises(ValueError, match=r"needs a pairing in float64.*float32"):
        pair.check_in("tf32")


def test_the_command_refuses_other_rungs_in_a_low_precision(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", "glyphs.yaml", "--precision", "tf32", "--rungs", "3"]) == 2
    assert "leave out --rungs" in capsys.readouterr().err


def test_the_command_writes_a_report_of_a_low_precision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = cases.EVERY_MODULE["ClassEmbedding-DiT"]
    model = {k: v for k, v in settings.items() if k not in ("image_size", "channels", "n_shot")}
    data = {"class_path": "Glyphs", "init_args": {"image_size": 8, "n_shot": 2}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"model": model, "data": data, "trainer": {}}))
    arguments = ["--config", str(tmp_path / "tiny.yaml"), "--precision", "tf32", "--output-dir", str(tmp_path)]
    assert command.main(arguments) == 0
    assert "All 2 checks passed" in capsys.readouterr().out
