"""A torch network held against a JAX network: the same weights, the same inputs, every module, every gradient."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from parity_tests.backends import exact
from parity_tests.check import Check, of_module_gradients, of_module_outputs
from parity_tests.compare import errors_of
from parity_tests.pairing import optimizers
from parity_tests.pairing.alone import NotAlone, Run, run_alone
from parity_tests.pairing.arrays import floats, is_float, leaves, to_numpy, whole_numbers, with_arrays
from parity_tests.pairing.calls import Call
from parity_tests.pairing.explanation import explain_arrays, explain_module
from parity_tests.pairing.guess import Match, Parameter
from parity_tests.pairing.initialisation import differences
from parity_tests.pairing.jax_sides import jax_side
from parity_tests.pairing.key_map import KeyMap, make_key_map
from parity_tests.pairing.layouts import closest, data_layouts
from parity_tests.pairing.module_map import Paired, pair_calls
from parity_tests.pairing.names import is_inside
from parity_tests.pairing.precision.findings import find_in
from parity_tests.pairing.precision.precisions import PRECISIONS
from parity_tests.pairing.random_weights import randomize
from parity_tests.pairing.report import Finding, PairReport
from parity_tests.pairing.settle import settle
from parity_tests.pairing.steps import train_jax, train_torch
from parity_tests.pairing.torch_side import TorchSide, tensors
from parity_tests.tolerances import GRADIENT_FLOOR, TOLERANCES, Dtype, LowPrecision

RUNGS = ("weights", "module", "forward", "gradient", "optimizer", "ema")
"""What `check` does without being asked; `initialisation` needs factories."""
Loss = Callable[[Any], Any]


def mean_square(outputs: Sequence[Any]) -> Any:
    """A loss that every entry of every array has a part in, on either side."""
    return sum((array * array).mean() for array in outputs)


class Pairing:
    """A torch network and a JAX network that should be the same.

        pair = Pairing(torch_module, flax_module, inputs=(images,))
        report = pair.check()
        report.require()

    The torch network is copied and left as it is. Both are put into evaluation mode: dropout is off, and what is still
    drawn is an error. Weights are torch's way to random ones of a usual size, so that no gate that starts at zero hides
    what is behind it; JAX's are made of them by the key map.

    Args:
        torch_module: the torch network.
        jax_network: an nnx module; `(linen module, variables)`; an equinox module; or `(function, parameter tree)`.
        inputs: of both, NumPy arrays: a tuple of positional arguments or a dictionary of named ones.
        jax_inputs: JAX's, where they are others: the same kinds, or a function that makes them of torch's.
        jax_options: more named arguments of the JAX network, such as `{"deterministic": True}`.
        key_map: rules for parameters, see `rules`; what none names is guessed.
        loss: of a network's output, by operations that both frameworks know; or a pair, torch's and JAX's. The mean
            square of what both networks give where None.
        optimizer: of the rungs `optimizer` and `ema`.
        steps: of the optimiser.
        ema: decay of the moving average.
        dtype: of parameters and inputs. A network whose own settings compute in another one has to be made for it.
        weights: `random`, or `torch` for those that the torch network has.
        seed: of the random weights.
        fresh: two functions of a seed that make a new torch and a new JAX network, for the rung `initialisation`.

    Raises:
        UnmatchedParameter: a parameter without counterpart, used twice or of another shape.
        TypeError: a JAX network of an unknown kind.
    """

    def __init__(
        self,
        torch_module: nn.Module,
        jax_network: Any,
        inputs: tuple[Any, ...] | dict[str, Any],
        jax_inputs: Any = None,
        jax_options: dict[str, Any] | None = None,
        key_map: Iterable[Any] = (),
        loss: Loss | tuple[Loss, Loss] | None = None,
        optimizer: optimizers.OptimizerPair | None = None,
        steps: int = 3,
        ema: float = 0.9,
        dtype: Dtype = "float64",
        weights: str = "random",
        seed: int = 0,
        fresh: tuple[Callable[[int], nn.Module], Callable[[int], Any]] | None = None,
    ) -> None:
        exact(torch.get_num_threads())
        self.dtype: Dtype = dtype
        self.torch = TorchSide(copy.deepcopy(torch_module).to(getattr(torch, dtype)))
        self.jax = jax_side(jax_network)
        of_both = self._mean_square if loss is None else loss
        self.losses = of_both if isinstance(of_both, tuple) else (of_both, of_both)
        self.optimizer = optimizer or optimizers.adamw()
        self.steps = steps
        self.ema = ema
        self.fresh = fresh
        if weights == "random":
            randomize(self.torch.module, seed)
        self.args, self.kwargs = tensors(_arguments(inputs), getattr(torch, dtype))
        given = jax_inputs(*self._numpy(self.args), **self._numpy(self.kwargs)) if callable(jax_inputs) else jax_inputs
        args, kwargs = _arguments(inputs if given is None else given)
        self.jax_args, self.jax_kwargs = self._cast(args), {**self._cast(kwargs), **(jax_options or {})}
        self.our_calls = self.torch.record(*self.args, **self.kwargs)
        guessed = make_key_map(self._torch_parameters(), self._jax_parameters(), key_map)
        pairs = cache(lambda: self._pairs_with(guessed))
        self.key_map: KeyMap = settle(guessed, self._error_of, lambda *chosen: self._module_error(pairs(), *chosen))
        self.parameters = self._with(self.key_map)

    # ---- both sides ----

    @cached_property
    def pairs(self) -> list[Paired]:
        """Calls of modules that belong together, with the same weights, in forward order; the whole networks last."""
        return self._pairs_with(self.key_map)

    def _pairs_with(self, key_map: KeyMap) -> list[Paired]:
        theirs = self.jax.record(self._with(key_map), *self.jax_args, **self.jax_kwargs)
        return pair_calls(self.our_calls, theirs, key_map)

    def _error_of(self, key_map: KeyMap) -> float:
        """How far the whole networks are apart under a key map."""
        output = self.jax.apply(self._with(key_map), *self.jax_args, **self.jax_kwargs)
        return max(self._output_errors(self.our_calls[-1].output, output).values(), default=float("inf"))

    def _module_error(self, pairs: Sequence[Paired], key_map: KeyMap, match: Match) -> float | None:
        """How far the module that holds a match's first parameter is, on the same inputs, under a key map."""
        owner = match.keys[0].rpartition(".")[0]
        pair = next((pair for pair in pairs if pair.ours.name == owner and owner), None)
        if pair is None:
            return None
        try:
            return max(errors_of(*run_alone(pair, key_map, self._with(key_map)).outputs).values())
        except NotAlone:
            return None

    def _with(self, key_map: KeyMap) -> dict[str, np.ndarray]:
        return {path: value.astype(self.dtype) for path, value in key_map.to_jax(self.torch.values()).items()}

    def _output_errors(self, ours: Any, theirs: Any) -> dict[str, float]:
        return errors_of(*self._alike(ours, theirs))

    @staticmethod
    def _alike(ours: Any, theirs: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Arrays of both outputs in torch's layout; those that only one side has are left out at the end."""
        kept = floats if floats(ours) else whole_numbers
        left, right = ([to_numpy(leaf) for leaf in kept(side)] for side in (ours, theirs))
        found: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({}, {})
        for i, (a, b) in enumerate(zip(left, right, strict=False)):
            layout = closest(data_layouts(a.shape, b.shape), a, b)
            if layout is None:
                raise ValueError(f"output {i} is {a.shape} in torch and {b.shape} in JAX")
            found[0][f"output {i}"], found[1][f"output {i}"] = a, layout.invert(b, a.shape).astype(a.dtype)
        return found

    # ---- rungs ----

    def check_in(self, precision: LowPrecision) -> PairReport:
        """Run every module and the whole networks in a low precision, forwards and backwards.

        What is allowed is derived of each: see `low_precision_fractions`, whose fractions the report's errors are.

        Raises:
            ValueError: the pairing is not in float64, which the derivation needs.
        """
        if self.dtype != "float64":
            raise ValueError(f"check_in({precision!r}) needs a pairing in float64, and this one is in {self.dtype}")
        findings = find_in(PRECISIONS[precision], self.pairs, self.key_map, self.parameters)
        return PairReport(type(self.torch.module).__name__, precision, tuple(findings), str(self.key_map))

    def check(self, rungs: Sequence[str] = RUNGS) -> PairReport:
        """Run rungs, in their order.

        Args:
            rungs: of `RUNGS`, and `initialisation`.

        Raises:
            ValueError: an unknown rung, or one that lacks something.
        """
        known: dict[str, Callable[[], list[Finding]]] = {
            "weights": self._weights,
            "module": self._modules,
            "forward": self._forward,
            "gradient": self._gradient,
            "optimizer": self._optimizer,
            "ema": self._ema,
            "initialisation": self._initialisation,
        }
        if odd := [rung for rung in rungs if rung not in known]:
            raise ValueError(f"no rung {', '.join(odd)}; there are {', '.join(known)}")
        findings = [finding for rung in known if rung in rungs for finding in known[rung]()]
        return PairReport(type(self.torch.module).__name__, self.dtype, tuple(findings), str(self.key_map))

    def _weights(self) -> list[Finding]:
        before = self.torch.values()
        after = {k: v.astype(before[k].dtype) for k, v in self.key_map.to_torch(self.key_map.to_jax(before)).items()}
        again = self.torch.record(*self.args, **self.kwargs)[-1].output
        drawn = errors_of(*self._alike(self.our_calls[-1].output, again))
        theirs = [self.jax.apply(self.parameters, *self.jax_args, **self.jax_kwargs) for _ in range(2)]
        drawn |= {
            f"JAX's {k}": e for k, e in self._output_errors(*([to_numpy(x) for x in leaves(t)] for t in theirs)).items()
        }
        return [
            Finding(
                Check("weights", f"{len(before)} parameters to JAX and back", self.dtype, errors_of(after, before))
            ),
            Finding(Check("weights", "the same call twice gives the same: nothing is drawn", self.dtype, drawn)),
        ]

    def _forward(self) -> list[Finding]:
        errors = {}
        for pair in self.pairs:
            try:
                errors[pair.name] = max(self._output_errors(pair.ours.output, pair.theirs.output).values(), default=0.0)
            except ValueError:
                errors[pair.name] = float("inf")
        return [Finding(Check("model", "forward pass, every module's output", self.dtype, errors))]

    def _modules(self) -> list[Finding]:
        outputs: dict[str, float] = {}
        gradients: dict[str, float] = {}
        words: dict[str, str] = {}
        of_gradients: dict[str, str] = {}
        failed: dict[str, tuple[Paired, Run]] = {}
        for pair in self.pairs:
            name = f"{pair.name} ({pair.ours.kind})"
            try:
                run = run_alone(pair, self.key_map, self.parameters)
            except NotAlone as why:
                words.setdefault(name, f"not run alone: {why}")
                continue
            outputs[name] = max(errors_of(*run.outputs).values())
            if run.gradients[1]:
                found = errors_of(*run.gradients, GRADIENT_FLOOR[self.dtype])
                gradients[name] = max(found.values())
                if gradients[name] > TOLERANCES["module gradient"][self.dtype] >= outputs[name]:
                    worst = max(found, key=found.__getitem__)
                    if reason := explain_arrays(run.gradients[0][worst], run.gradients[1][worst], {}):
                        of_gradients[name] = f"the gradient by {worst}: {reason}"
            if outputs[name] > TOLERANCES["module"][self.dtype]:
                failed[name] = pair, run
        words |= self._explained(failed)
        findings = []
        if outputs:
            findings.append(Finding(of_module_outputs(self.dtype, outputs), words))
        if gradients:
            findings.append(Finding(of_module_gradients(self.dtype, gradients), of_gradients))
        return findings

    @staticmethod
    def _explained(failed: Mapping[str, tuple[Paired, Run]]) -> dict[str, str]:
        """Why modules differ, of those whose parts are all right."""
        found = {}
        for name, (pair, run) in failed.items():
            parts = [
                other
                for other, _ in failed.values()
                if other is not pair and is_inside(other.ours.name, pair.ours.name, ".")
            ]
            if not parts and (reason := explain_module(pair, run)):
                found[name] = reason
        return found

    def _gradient(self) -> list[Finding]:
        module = self.torch.module
        module.zero_grad(set_to_none=True)
        ours = self._torch_loss(module)
        ours.backward()
        left = {
            k: to_numpy(p.grad if p.grad is not None else torch.zeros_like(p)) for k, p in module.named_parameters()
        }
        values = {path: jnp.asarray(value) for path, value in self.parameters.items()}
        theirs, gradients = jax.jit(jax.value_and_grad(self._jax_loss))(values)
        right = self.key_map.to_torch({path: np.asarray(value) for path, value in gradients.items()})
        right = {key: right[key].astype(left[key].dtype) for key in left}
        a, b = (np.asarray(float(value)) for value in (ours.detach(), theirs))
        check = Check(
            "loss",
            f"gradients of {len(left)} parameters",
            self.dtype,
            errors_of(left, right, GRADIENT_FLOOR[self.dtype]),
        )
        words = {}
        if (key := check.first_failure) and (reason := explain_arrays(left[key], right[key], {})):
            words[key] = reason
        loss = Check("loss", "loss", self.dtype, errors_of({"loss": a}, {"loss": b}))
        return [Finding(loss), Finding(check, words)]

    @cached_property
    def _trained(self) -> tuple[Any, Any]:
        ours = train_torch(self.torch.module, self._torch_loss, self.optimizer, self.steps, self.ema)
        theirs = train_jax(
            self.jax, self.parameters, self._jax_loss, self.optimizer, self.steps, self.ema, self.key_map
        )
        return ours, theirs

    def _optimizer(self) -> list[Finding]:
        ours, theirs = self._trained
        losses = [{f"loss of step {i + 1}": np.asarray(v) for i, v in enumerate(side.losses)} for side in self._trained]
        left, right = losses[0] | ours.parameters, losses[1] | {k: theirs.parameters[k] for k in ours.parameters}
        what = f"{self.steps} steps of {self.optimizer.name}: losses, parameters"
        return [Finding(Check("step", what, self.dtype, errors_of(left, right)))]

    def _ema(self) -> list[Finding]:
        ours, theirs = self._trained
        right = {key: theirs.average[key] for key in ours.average}
        return [Finding(Check("step", "moving average", self.dtype, errors_of(ours.average, right)))]

    def _initialisation(self) -> list[Finding]:
        if self.fresh is None:
            raise ValueError("the rung initialisation needs `fresh`: two functions of a seed that make new networks")
        make_torch, make_jax = self.fresh
        ours = [TorchSide(make_torch(seed)).values() for seed in range(3)]
        theirs = [self.key_map.to_torch(jax_side(make_jax(seed)).parameters) for seed in range(3)]
        trained = [key for key in ours[0] if key not in self.torch.statistics]
        errors = differences([{k: side[k] for k in trained} for side in ours], theirs)
        return [Finding(Check("initialisation", "means, spreads and ends of fresh parameters", self.dtype, errors))]

    # ---- helpers ----

    def _mean_square(self, output: Any) -> Any:
        both = min(len(floats(call.output)) for call in self.pairs[-1][1:])
        return mean_square(floats(output)[:both])

    def _torch_loss(self, module: nn.Module) -> Any:
        return self.losses[0](module(*self.args, **self.kwargs))

    def _jax_loss(self, parameters: Any) -> Any:
        return self.losses[1](self.jax.apply(parameters, *self.jax_args, **self.jax_kwargs))

    def _torch_parameters(self) -> list[Parameter]:
        places = _places(self.our_calls)
        return [
            Parameter(key, tuple(value.shape), places(key.rpartition(".")[0]), self.torch.owners[key],
                      key in self.torch.statistics)
            for key, value in self.torch.parameters.items()
        ]  # fmt: skip

    def _jax_parameters(self) -> list[Parameter]:
        own = {path: value.astype(self.dtype) for path, value in self.jax.parameters.items()}
        places = _places(self.jax.record(own, *self.jax_args, **self.jax_kwargs))
        return [
            Parameter(path, value.shape, places(path.rpartition("/")[0]), None, path in self.jax.statistics)
            for path, value in self.jax.parameters.items()
        ]

    def _cast(self, value: Any) -> Any:
        def convert(array: Any) -> Any:
            numbers = to_numpy(array)
            return jnp.asarray(numbers.astype(self.dtype) if is_float(array) else numbers)

        return with_arrays(value, convert)

    @staticmethod
    def _numpy(value: Any) -> Any:
        return with_arrays(value, to_numpy)


def _places(calls: Sequence[Call]) -> Callable[[str], int]:
    """Where a module is first called; behind all others where it never is."""
    found: dict[str, int] = {}
    for place, call in enumerate(calls):
        found.setdefault(call.name, place)
    return lambda name: found.get(name, len(calls))


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments."""
    if isinstance(inputs, dict):
        return (), inputs
    return (inputs if isinstance(inputs, tuple) else (inputs,)), {}
