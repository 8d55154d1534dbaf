"""One module of each side, given the same inputs: its output, and its vector-Jacobian product."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch

from lightning_nsd.rng import philox
from parity_tests.pairing.arrays import floats, is_float, leaves, to_numpy, with_arrays
from parity_tests.pairing.calls import Call
from parity_tests.pairing.key_map import KeyMap
from parity_tests.pairing.layouts import Layout, closest, data_layouts
from parity_tests.pairing.masks import is_mask, same_mask
from parity_tests.pairing.module_map import Paired
from parity_tests.pairing.names import is_inside

Arrays = dict[str, np.ndarray]
Through = Callable[[Callable[..., Any]], Callable[..., Any]]
Place = tuple[int, Layout] | None
Layouts = Callable[[Sequence[int], Sequence[int]], Iterable[Layout]]


class NotAlone(Exception):  # noqa: N818 (it says why)
    """A pair of modules whose inputs are not the same arrays; the message says what they are given."""


class Run(NamedTuple):
    """What both sides make of the same inputs, in torch's layout.

    Attributes:
        outputs: of each side.
        gradients: of each side, by `input 0` and by torch's keys; nothing where no derivative can be taken.
        inputs: of both.
    """

    outputs: tuple[Arrays, Arrays]
    gradients: tuple[Arrays, Arrays]
    inputs: Arrays


def run_alone(
    pair: Paired,
    key_map: KeyMap,
    parameters: Arrays,
    layouts: Layouts = data_layouts,
    through: Through | None = None,
) -> Run:
    """Run both modules of a pair on what torch's was given.

    Args:
        pair: the modules' calls.
        key_map: of the networks.
        parameters: JAX's, of the whole network.
        layouts: in which an activation may stand in JAX, of both shapes.
        through: makes another function of JAX's, forwards and backwards.

    Raises:
        NotAlone: the two are given other arrays.
    """
    ours, theirs = pair.ours, pair.theirs
    sources, templates = leaves((ours.args, dict(ours.kwargs))), leaves((theirs.args, dict(theirs.kwargs)))
    places = _places(sources, templates, layouts)
    used = dict(filter(None, places))
    outputs, ours_gradients = torch_vjp(ours)
    keys = [key for match in key_map.matches for key in match.keys if is_inside(key, pair.ours.name, ".")]
    paths = {path for match in key_map.matches if set(match.keys) & set(keys) for path in match.paths}
    their_inputs = [
        to_numpy(template) if place is None else place[1].apply(to_numpy(sources[place[0]]))
        for place, template in zip(places, templates, strict=True)
    ]
    produced, their_vjp = _jax_vjp(pair, their_inputs, parameters, paths, len(outputs), through)
    outputs = dict(list(outputs.items())[: len(produced)])  # what both sides give
    if not outputs:
        raise NotAlone("it gives no numbers with a fraction")
    chosen = []
    for (name, a), b in zip(outputs.items(), produced, strict=True):
        layout = closest(layouts(a.shape, b.shape), a, b)
        if layout is None:
            raise NotAlone(f"{name} is {a.shape} in torch and {b.shape} in JAX")
        chosen.append(layout)
    vectors = [cotangent(i, a.shape, a.dtype) for i, a in enumerate(outputs.values())]
    of_inputs, of_parameters = their_vjp([layout.apply(v) for layout, v in zip(chosen, vectors, strict=True)])
    back = {n: lay.invert(b, a.shape) for (n, a), lay, b in zip(outputs.items(), chosen, produced, strict=True)}
    theirs_gradients = {
        f"input {place[0]}": place[1].invert(of_inputs[j], sources[place[0]].shape)
        for j, place in enumerate(places)
        if place is not None and j in of_inputs
    }
    for i in range(len(sources)):
        if i not in used:  # a mask, by which only one side has a gradient
            ours_gradients.pop(f"input {i}", None)
    theirs_gradients |= _of_torch(key_map, of_parameters, keys)
    gradients = _both(ours_gradients, theirs_gradients)
    inputs = {f"input {i}": to_numpy(a) for i, a in enumerate(sources)}
    return Run((outputs, back), gradients, inputs)


def cotangent(number: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """A random vector for an output."""
    return philox(2, number).standard_normal(shape).astype(dtype)


def _both(ours: Arrays, theirs: Arrays) -> tuple[Arrays, Arrays]:
    """Gradients of both sides by the same names: one that a side has not is zero there, and left out if both are."""
    names = [n for n in {**ours, **theirs} if np.any(ours.get(n, 0)) or np.any(theirs.get(n, 0)) or n in ours]
    return (
        {name: ours[name] if name in ours else np.zeros_like(theirs[name]) for name in names},
        {name: theirs[name] if name in theirs else np.zeros_like(ours[name]) for name in names},
    )


def _places(sources: list[Any], templates: list[Any], layouts: Layouts) -> list[Place]:
    """Which of torch's arrays each of JAX's is, and how; None where JAX's own is used, a mask in other words."""
    if len(sources) == len(templates):
        ways = [_way(a, b, layouts) for a, b in zip(sources, templates, strict=True)]
        if not any(
            way is None or (is_mask(a) and is_mask(b) and not np.array_equal(way.apply(to_numpy(a)), to_numpy(b)))
            for way, a, b in zip(ways, sources, templates, strict=True)
        ):
            return [(i, way) for i, way in enumerate(ways) if way is not None]
    masks, their_masks = ([i for i, a in enumerate(side) if is_mask(a)] for side in (sources, templates))
    ours, theirs = (
        [i for i in range(len(side)) if i not in of_masks]
        for side, of_masks in ((sources, masks), (templates, their_masks))
    )
    if len(ours) != len(theirs):
        raise NotAlone(f"torch's is given {len(sources)} arrays and JAX's {len(templates)}")
    found: list[Place] = [None] * len(templates)
    for i, j in zip(ours, theirs, strict=True):
        way = _way(sources[i], templates[j], layouts)
        if way is None:
            shapes = tuple(sources[i].shape), tuple(templates[j].shape)
            raise NotAlone(f"torch's is given {shapes[0]} where JAX's is given {shapes[1]}")
        found[j] = i, way
    for j in their_masks:
        if masks and not any(same_mask(sources[i], templates[j]) for i in masks):
            raise NotAlone(f"JAX's is given a mask {tuple(templates[j].shape)} that lets other things through")
    return found


def _way(source: Any, template: Any, layouts: Layouts) -> Layout | None:
    a, b = to_numpy(source), to_numpy(template)
    return closest(layouts(a.shape, b.shape), a, b)


def torch_vjp(call: Call) -> tuple[Arrays, Arrays]:
    """Outputs of a torch module for a call's inputs, and gradients by these and by its parameters, by torch's keys."""
    module: Any = call.run
    module.zero_grad(set_to_none=True)
    given: list[torch.Tensor] = []

    def take(array: torch.Tensor) -> torch.Tensor:
        tensor = array.detach().clone()
        given.append(tensor.requires_grad_() if is_float(tensor) else tensor)
        return given[-1] * 1 if is_float(tensor) else tensor  # an operation in place may not change a leaf

    args, kwargs = with_arrays((call.args, dict(call.kwargs)), take)
    outputs = floats(module(*args, **kwargs))
    total = sum(
        (o * torch.from_numpy(cotangent(i, tuple(o.shape), to_numpy(o).dtype)).to(o)).sum()
        for i, o in enumerate(outputs)
    )
    if isinstance(total, torch.Tensor) and total.requires_grad:
        total.backward()
    found = {f"input {i}": to_numpy(a.grad) for i, a in enumerate(given) if a.grad is not None}
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            found[f"{call.name}.{name}" if call.name else name] = to_numpy(parameter.grad)
    return {f"output {i}": to_numpy(o) for i, o in enumerate(outputs)}, found


def _jax_vjp(
    pair: Paired,
    inputs: list[np.ndarray],
    parameters: Arrays,
    paths: set[str],
    count: int,
    through: Through | None,
) -> tuple[Any, Any]:
    """The first `count` outputs of a JAX module, and what makes gradients of cotangents."""
    own = {path: jnp.asarray(value) for path, value in parameters.items() if path in paths}
    given = {i: jnp.asarray(a) for i, a in enumerate(inputs) if np.issubdtype(a.dtype, np.floating)}
    for i, template in enumerate(leaves((pair.theirs.args, dict(pair.theirs.kwargs)))):
        if i in given and isinstance(template, jax.Array):
            given[i] = given[i].astype(template.dtype)  # NumPy has no bfloat16

    def run(own: Any, given: Any) -> list[Any]:
        position = iter(range(len(inputs)))

        def fill(_: Any) -> Any:
            i = next(position)
            return given[i] if i in given else jnp.asarray(inputs[i])

        args, kwargs = with_arrays((pair.theirs.args, dict(pair.theirs.kwargs)), fill)
        output = pair.theirs.run({**parameters, **own}, *args, **kwargs)
        return floats(output)[:count]

    def pull_back(own: Any, given: Any, vectors: list[Any]) -> Any:
        return jax.vjp(run, own, given)[1](vectors)

    if through is None:
        outputs, vjp = jax.vjp(run, own, given)
    else:  # derivatives first, so that theirs are changed too
        outputs, vjp = through(run)(own, given), partial(through(pull_back), own, given)

    def gradients(vectors: list[np.ndarray]) -> tuple[dict[int, np.ndarray], Arrays]:
        cast = [jnp.asarray(v, o.dtype) for v, o in zip(vectors, outputs, strict=True)]
        of_own, of_given = vjp(cast)
        return {i: to_numpy(g) for i, g in of_given.items()}, {path: to_numpy(g) for path, g in of_own.items()}

    return [to_numpy(output) for output in outputs], gradients


def _of_torch(key_map: KeyMap, of_parameters: Arrays, keys: list[str]) -> Arrays:
    """Gradients by JAX's parameters, by torch's keys."""
    found: Arrays = {}
    for match in key_map.matches:
        trained = not any(key_map.torch[key].is_statistic for key in match.keys)
        if trained and set(match.paths) <= of_parameters.keys() and set(match.keys) <= set(keys):
            found |= key_map.part_to_torch(match, of_parameters)
    return found
