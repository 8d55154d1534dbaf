"""Any torch network against any JAX network: weights find each other, and what differs is named."""

import copy
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, nnx
from torch import nn

from parity_tests.pairing import Pairing
from parity_tests.pairing.explanation import explain_arrays
from parity_tests.pairing.faults.__main__ import outcome, pairing
from parity_tests.pairing.faults.table import FAULTS
from parity_tests.pairing.guess import Parameter
from parity_tests.pairing.initialisation import differences
from parity_tests.pairing.key_map import UnmatchedParameter, make_key_map
from parity_tests.pairing.layouts import TRANSPOSED
from parity_tests.pairing.optimizers import adam, muon, sgd
from parity_tests.pairing.random_weights import randomize
from parity_tests.pairing.torch_side import TorchSide
from parity_tests.pairing.transforms import Single

pytest_plugins = ["pytester"]
ROOT = str(Path(__file__).parent.parent)
WIDTH = 6
X = np.random.default_rng(0).standard_normal((3, WIDTH))


class Torch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.last = nn.Linear(WIDTH, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.norm(self.first(x)).tanh())


class Nnx(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, eps: float = 1e-6) -> None:
        self.first = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.norm = nnx.LayerNorm(WIDTH, epsilon=eps, rngs=rngs)
        self.last = nnx.Linear(WIDTH, 4, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.last(jnp.tanh(self.norm(self.first(x))))


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = linen.LayerNorm(epsilon=1e-6, name="ln")(linen.Dense(WIDTH, name="dense_0")(x))
        return linen.Dense(4, name="dense_1")(jnp.tanh(x))


class Equinox(eqx.Module):
    first: eqx.nn.Linear
    norm: eqx.nn.LayerNorm
    last: eqx.nn.Linear

    def __init__(self) -> None:
        a, b = jax.random.split(jax.random.key(0))
        self.first, self.last = eqx.nn.Linear(WIDTH, WIDTH, key=a), eqx.nn.Linear(WIDTH, 4, key=b)
        self.norm = eqx.nn.LayerNorm(WIDTH, eps=1e-6)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.last(jnp.tanh(self.norm(self.first(x))))


def function(params: Any, x: jax.Array) -> jax.Array:
    x = x @ params["first"]["w"] + params["first"]["b"]
    x = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-6)
    x = jnp.tanh(x * params["norm"]["scale"] + params["norm"]["offset"])
    return x @ params["last"]["w"] + params["last"]["b"]


def networks() -> dict[str, Any]:
    linear = lambda n: {"w": jnp.zeros((WIDTH, n)), "b": jnp.zeros(n)}  # noqa: E731
    norm = {"scale": jnp.zeros(WIDTH), "offset": jnp.zeros(WIDTH)}
    return {
        "nnx": Nnx(nnx.Rngs(0)),
        "linen": (Linen(), Linen().init(jax.random.key(0), X)),
        "equinox": Equinox(),
        "function": (function, {"first": linear(WIDTH), "norm": norm, "last": linear(4)}),
    }


@pytest.mark.smoke
@pytest.mark.parametrize("kind", ["nnx", "linen", "equinox", "function"])
def test_the_same_network_passes_whatever_library_it_is_written_with(kind: str) -> None:
    report = Pairing(Torch(), networks()[kind], (X,)).check()
    report.require()
    assert {check.rung for check in report.checks} == {"weights", "module", "model", "loss", "step"}
    alone = next(check for check in report.checks if check.what.startswith("outputs"))
    assert len(alone.errors) == (1 if kind == "function" else 4)  # nobody can see inside a function


def test_the_given_network_is_left_as_it_is() -> None:
    ours = Torch().train()
    before = copy.deepcopy(ours.state_dict())
    Pairing(ours, Nnx(nnx.Rngs(0)), (X,)).check()
    assert ours.training and all(torch.equal(value, before[key]) for key, value in ours.state_dict().items())


RULES = {
    "Adam": adam(),
    "SGD": sgd(),
    "Nesterov": sgd(nesterov=True),
    "clipped": adam().with_clipping(0.1),
    "scheduled": adam().with_schedule(lambda step: 1 / (1 + step)),
    "Muon": muon(),
    "Muon without Nesterov": muon(nesterov=False),
    "scheduled Muon": muon().with_schedule(lambda step: 1 / (1 + step)).with_clipping(0.1),
}


@pytest.mark.parametrize("rule", RULES)
def test_steps_of_torch_and_optax_agree(rule: str) -> None:
    Pairing(Torch(), Nnx(nnx.Rngs(0)), (X,), optimizer=RULES[rule]).check(("optimizer", "ema")).require()


@pytest.mark.parametrize("other", [{"momentum": 0.9}, {"nesterov": False}, {"weight_decay": 0.0}, {"lr": 1.01e-2}])
def test_another_muon_on_one_side_is_a_failure(other: dict[str, Any]) -> None:
    rule = muon()._replace(jax=muon(**other).jax)
    report = Pairing(Torch(), Nnx(nnx.Rngs(0)), (X,), optimizer=rule).check(("optimizer",))
    assert not report.passed


def test_muon_is_torchs_own_but_for_bfloat16() -> None:
    matrix, own = (nn.Parameter(torch.from_numpy(X.copy()).float()) for _ in range(2))
    for parameter, rule in ((matrix, muon().torch([matrix])), (own, torch.optim.Muon([own], lr=1e-2))):
        (parameter**2).sum().backward()
        rule.step()
    apart = float((matrix - own).detach().abs().max())
    assert 1e-7 < apart < 2e-4  # of a step of 1e-2, half a per cent


def test_a_wrong_eps_is_named_and_explained_and_what_is_behind_it_is_not_blamed() -> None:
    report = Pairing(Torch(), Nnx(nnx.Rngs(0), eps=1e-5), (X,)).check(("module", "forward"))
    assert report.first_module == "norm" and "LayerNorm with eps = 1e-05" in str(report.explanation)
    (modules,) = (check for check in report.checks if check.what.startswith("outputs"))
    wrong = [name for name, error in modules.errors.items() if error > modules.tolerance]
    assert wrong == ["norm (LayerNorm)", "network (Torch)"]  # and not `last`, which is given what is wrong


def test_a_square_kernel_that_is_not_transposed_is_settled_by_numbers() -> None:
    def turned(params: Any, x: jax.Array) -> jax.Array:
        return function({**params, "first": {**params["first"], "w": params["first"]["w"].T}}, x)

    pair = Pairing(Torch(), (turned, networks()["function"][1]), (X,))
    pair.check(("forward",)).require()
    assert "first.weight" in str(pair.key_map) and "settled by numbers" in str(pair.key_map)


def test_a_network_that_draws_is_no_pair() -> None:
    class Draws(Torch):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + torch.rand(())

    report = Pairing(Draws(), Nnx(nnx.Rngs(0)), (X,)).check(("weights",))
    assert not report.passed and "nothing is drawn" in str(report)


def parameters(**shapes: tuple[int, ...]) -> list[Parameter]:
    return [Parameter(name, shape, place) for place, (name, shape) in enumerate(shapes.items())]


@pytest.mark.parametrize(
    ("ours", "theirs", "rules", "words"),
    [
        ({"a": (2, 3)}, {"a": (3, 4)}, (), r"torch's a \(2, 3\) has none in JAX; near it are a \(3, 4\)"),
        ({"a": (2,)}, {"a": (2,), "b": (2,)}, (), r"JAX's b \(2,\) has none in torch"),
        ({"a": (2,)}, {"a": (2,)}, [("c", "a")], "names no parameter of the torch network"),
        ({"a": (2,)}, {"a": (2,)}, [("a", "c")], "there is no c in the JAX network; near it are a"),
        ({"a": (2,), "b": (2,)}, {"a": (2,)}, [("a", "a"), ("b", "a")], "JAX a is used twice"),
        ({"a": (2, 3)}, {"a": (2, 3)}, [("a", "a", TRANSPOSED)], r"\(3, 2\).*where JAX has.*\(2, 3\)"),
        ({}, {}, (), "no parameters at all"),
    ],
)
def test_every_parameter_is_accounted_for(ours: Any, theirs: Any, rules: Any, words: str) -> None:
    with pytest.raises(UnmatchedParameter, match=words):
        make_key_map(parameters(**ours), parameters(**theirs), rules)


def test_a_rule_speaks_of_every_layer_and_of_parts() -> None:
    ours = [Parameter(f"layers.{i}.qkv.weight", (6, 2), i) for i in range(3)]
    theirs = [Parameter(f"block_{i}/{name}/kernel", (2, 2), i) for i in range(3) for name in ("c", "b", "a")]
    found = make_key_map(ours, theirs, [("layers.{i}.qkv.weight", "block_{i}/{a,b,c}/kernel")])
    values = {p.name: np.random.default_rng(0).standard_normal(p.shape) for p in ours}
    jax_values = found.to_jax(values)
    np.testing.assert_array_equal(jax_values["block_1/b/kernel"], values["layers.1.qkv.weight"][2:4].T)
    for key, value in found.to_torch(jax_values).items():
        np.testing.assert_array_equal(value, values[key])


def test_a_network_of_everything_passes() -> None:
    pairing(None).check(("weights", "module", "forward", "gradient")).require()


@pytest.mark.parametrize("number", [0, 3, 6, 17, 18, 22])
def test_a_planted_fault_is_found_named_and_explained(number: int) -> None:
    said = outcome(FAULTS[number])
    assert said.found and said.named and said.explained, said


def test_a_report_is_written(tmp_path: Any) -> None:
    report = Pairing(Torch(), Nnx(nnx.Rngs(0), eps=1e-5), (X,)).check()
    report.html(tmp_path / "report.html")
    report.json(tmp_path / "report.json")
    page = (tmp_path / "report.html").read_text()
    assert "eps = 1e-05" in page and "<h1>Torch, torch against JAX</h1>" in page
    with pytest.raises(AssertionError, match="The first module that differs is norm"):
        report.require()


def test_the_fixture_leaves_a_page_of_what_failed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    pytester.makeconftest('pytest_plugins = ["parity_tests.plugin"]')
    pytester.makepyfile("""
        from parity_tests.test_pairing import Nnx, Torch, X, nnx

        def test_a_port(pairing):
            pairing(Torch(), Nnx(nnx.Rngs(0), eps=1e-5), (X,)).check(("module",)).require()
    """)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    assert "eps = 1e-05" in (pytester.path / "parity_reports" / "test_a_port.html").read_text()


@pytest.mark.parametrize("spread", [1.0, 1.5])
def test_fresh_networks_start_from_the_same_distributions_or_fail(spread: float) -> None:
    def make(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        network = Torch()
        for layer in (network.first, network.last):
            nn.init.trunc_normal_(layer.weight, std=layer.in_features**-0.5 / 0.87962566103423978, a=-2, b=2)
            nn.init.zeros_(layer.bias)
            layer.weight.data *= spread
        return network

    pair = Pairing(Torch(), Nnx(nnx.Rngs(0)), (X,), fresh=(make, lambda seed: Nnx(nnx.Rngs(seed))))
    (check,) = pair.check(("initialisation",)).checks
    assert check.passed == (spread == 1.0), check.worst
    with pytest.raises(ValueError, match="needs `fresh`"):
        Pairing(Torch(), Nnx(nnx.Rngs(0)), (X,)).check(("initialisation",))


A = np.random.default_rng(1).standard_normal((8, 8, 5))
ZERO_ROW = A * (np.arange(8) != 2)[:, None, None]


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (A / 8**0.5, "times 1/√8"),
        (A + 3, "plus 3"),
        (A[:, [*range(4, 8), *range(4)]], "two halves along axis 1 are swapped"),
        (A[:, [3, 0, 1, 6, 2, 7, 5, 4]], "torch's entries 3, 0, 1, 6, 2, 7, 5, 4: a permutation"),
        (ZERO_ROW, "differ at 2 of axis 0 alone, where JAX's is zero"),
        (A * A, None),
    ],
)
def test_simple_relations_are_put_into_words(theirs: np.ndarray, words: str | None) -> None:
    said = explain_arrays(A, theirs, {})
    assert said is None if words is None else words in str(said)


RANDOM = np.random.default_rng(2)
NORMAL = RANDOM.standard_normal(10_000)


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        (RANDOM.standard_normal(10_000), True),
        (1.1 * RANDOM.standard_normal(10_000), False),
        (RANDOM.standard_normal(10_000) + 0.1, False),
        (RANDOM.uniform(-(3**0.5), 3**0.5, 10_000), False),  # of the same mean and spread
        (np.zeros(10_000), False),
    ],
    ids=["the same", "wider", "moved", "other ends", "constant"],
)
def test_distributions_are_told_apart_by_mean_spread_and_ends(theirs: np.ndarray, same: bool) -> None:
    assert (differences([{"w": NORMAL}], [{"w": theirs}])["w"] <= 1) == same


def test_a_gradient_that_one_side_alone_has_is_a_difference() -> None:
    class Cut(Torch):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.norm(self.first(x).detach()).tanh())

    report = Pairing(Cut(), Nnx(nnx.Rngs(0)), (X,)).check(("module", "forward"))
    assert {check.what[:7] for check in report.checks if not check.passed} == {"vector-"}
    assert report.first_module == "network"


def test_weights_that_do_not_come_back_fail() -> None:
    class Lossy(Single):
        def to_torch(self, values: Any, shapes: Any) -> Any:
            return [0 * value for value in super().to_torch(values, shapes)]

    rules = [("last.weight", "last/kernel", Lossy(TRANSPOSED))]
    report = Pairing(Torch(), Nnx(nnx.Rngs(0)), (X,), key_map=rules).check(("weights", "forward"))
    assert [check.what for check in report.checks if not check.passed] == ["6 parameters to JAX and back"]


def test_what_an_operation_in_place_was_given_is_kept() -> None:
    network = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
    first, second, _ = TorchSide(network).record(torch.from_numpy(X.copy()))
    for kept in (first.output[0], second.args[0]):
        np.testing.assert_array_equal(kept.numpy(), X)


def test_random_statistics_are_those_of_something() -> None:
    norm = nn.BatchNorm2d(4)
    randomize(norm, 0)
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    assert mean.std() > 0 and variance.std() > 0 and bool((variance > 0).all())


class TorchAttention(nn.Module):
    """Query, key and value in one convolution of 1, as in guided-diffusion."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Conv1d(WIDTH, 3 * WIDTH, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x.mT).mT.chunk(3, dim=-1)
        return (q @ k.mT).softmax(dim=-1) @ v


class NnxAttention(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.query, self.key, self.value = (nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(3))

    def __call__(self, x: jax.Array) -> jax.Array:
        q, k, v = self.query(x), self.key(x), self.value(x)
        return jax.nn.softmax(q @ k.mT) @ v


def test_a_fused_query_key_and_value_that_is_a_convolution_is_three_dense_layers() -> None:
    Pairing(TorchAttention(), NnxAttention(nnx.Rngs(0)), (X[None],)).check(("weights", "forward", "gradient")).require()


class TorchMask(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x > 0).long()


class TorchMasked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mask, self.last = TorchMask(), nn.Linear(WIDTH, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x * self.mask(x))


class NnxMask(nnx.Module):
    def __call__(self, x: jax.Array) -> jax.Array:
        return (x > 0).astype(int)


class NnxMasked(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.mask, self.last = NnxMask(), nnx.Linear(WIDTH, 4, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.last(x * self.mask(x))


def test_a_module_that_gives_whole_numbers_alone_ends_no_report() -> None:
    report = Pairing(TorchMasked(), NnxMasked(nnx.Rngs(0)), (X,)).check(("module", "forward"))
    report.require()
    assert any("no numbers with a fraction" in words for found in report.findings for words in found.words.values())
