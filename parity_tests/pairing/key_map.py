"""Every parameter of both networks, and what belongs together: by rules, by guessing, with nothing left over."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity_tests.pairing.guess import Match, Parameter, guess, transforms_of
from parity_tests.pairing.layouts import Layout
from parity_tests.pairing.names import nearest
from parity_tests.pairing.rules import as_rules
from parity_tests.pairing.transforms import Join, Single, Split, Transform


class UnmatchedParameter(Exception):  # noqa: N818 (it says what is wrong)
    """A parameter without counterpart, used twice, or of another shape; the message names it and what is near."""


@dataclass(frozen=True)
class KeyMap:
    """A bijection between the parameters of two networks.

    Attributes:
        matches: what belongs together.
        torch: torch's parameters by key.
        jax: JAX's by path.
    """

    matches: tuple[Match, ...]
    torch: Mapping[str, Parameter]
    jax: Mapping[str, Parameter]

    def to_jax(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Arrays by torch's keys, in torch's layout, as arrays by JAX's paths in JAX's layout.

        Raises:
            UnmatchedParameter: a key too many or too few, or an array of another shape.
        """
        _check_arrays(values, self.torch)
        found: dict[str, np.ndarray] = {}
        for match in self.matches:
            found |= _moved(match.how.to_jax, values, match.keys, match.paths, self.jax)
        return found

    def to_torch(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The way back; it raises the same."""
        _check_arrays(values, self.jax)
        found: dict[str, np.ndarray] = {}
        for match in self.matches:
            found |= self.part_to_torch(match, values)
        return found

    def part_to_torch(self, match: Match, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The way back of one match, whose arrays alone have to be there."""
        return _moved(match.how.to_torch, values, match.paths, match.keys, self.torch)

    def choosing(self, number: int, how: Transform) -> "KeyMap":
        """The same with another of one match's options."""
        matches = list(self.matches)
        matches[number] = replace(matches[number], how=how)
        return replace(self, matches=tuple(matches))

    def __str__(self) -> str:
        rows = [(" + ".join(m.keys), " + ".join(m.paths), str(m.how), m.why) for m in self.matches]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join("  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in rows)


def make_key_map(torch: Sequence[Parameter], jax: Sequence[Parameter], rules: Iterable[Any] = ()) -> KeyMap:
    """The map of two networks' parameters.

    Args:
        torch: one side's.
        jax: the other's.
        rules: a user's; what none of them names is guessed.

    Raises:
        UnmatchedParameter: something is left over, used twice or of another shape.
    """
    ours, theirs = {p.name: p for p in torch}, {p.name: p for p in jax}
    matches: list[Match] = []
    used: set[str] = set()
    for rule in as_rules(rules):
        found = list(rule.matches(list(ours)))
        if not found:
            raise UnmatchedParameter(f"the rule {rule.key} → {rule.path} names no parameter of the torch network")
        for keys, paths in found:
            _check_names(f"the rule {rule.key} → {rule.path}", keys, paths, ours, theirs)
            for name in (*(f"torch {key}" for key in keys), *(f"JAX {path}" for path in paths)):
                if name in used:
                    raise UnmatchedParameter(f"{name} is used twice: the second time by {rule.key} → {rule.path}")
                used.add(name)
            matches.append(_by_rule(rule.how, keys, paths, ours, theirs))
    matches += guess(
        [p for p in torch if f"torch {p.name}" not in used], [p for p in jax if f"JAX {p.name}" not in used]
    )
    _check_nothing_is_left(matches, ours, theirs)
    order = {name: i for i, name in enumerate(ours)}
    return KeyMap(tuple(sorted(matches, key=lambda match: order[match.keys[0]])), ours, theirs)


def _moved(
    change: Callable[[list[np.ndarray], list[tuple[int, ...]]], list[np.ndarray]],
    values: Mapping[str, np.ndarray],
    sources: Sequence[str],
    targets: Sequence[str],
    parameters: Mapping[str, Parameter],
) -> dict[str, np.ndarray]:
    """What a match's arrays of one side are on the other, where they have the names `targets`."""
    parts = change([values[name] for name in sources], [parameters[name].shape for name in targets])
    return dict(zip(targets, parts, strict=True))


def _check_arrays(values: Mapping[str, np.ndarray], expected: Mapping[str, Parameter]) -> None:
    if odd := sorted(values.keys() ^ expected.keys()):
        raise UnmatchedParameter(f"the arrays and the networks' parameters differ in {', '.join(odd)}")
    for name, parameter in expected.items():
        if values[name].shape != parameter.shape:
            raise UnmatchedParameter(f"{name}: {values[name].shape} where {parameter.shape} is expected")


def _by_rule(how: Any, keys: Any, paths: Any, ours: Any, theirs: Any) -> Match:
    options: list[Transform]
    if how is not None:
        options = [Single(how) if isinstance(how, Layout) else how]
    elif len(keys) == len(paths) == 1:
        options = transforms_of(ours[keys[0]], theirs[paths[0]].shape)
        if not options:
            a, b = ours[keys[0]], theirs[paths[0]]
            raise UnmatchedParameter(f"{a.name} is {a.shape} in torch, and {b.name} is {b.shape} in JAX")
    else:
        options = [Split() if len(keys) == 1 else Join()]
    shapes = [theirs[path].shape for path in paths]
    zeros = [np.zeros(ours[key].shape) for key in keys]
    try:
        found = [value.shape for value in options[0].to_jax(zeros, shapes)]
    except ValueError as error:
        raise UnmatchedParameter(f"{', '.join(keys)} → {', '.join(paths)}: {error}") from error
    if found != shapes:
        raise UnmatchedParameter(f"{', '.join(keys)} → {', '.join(paths)}: {found} where JAX has {shapes}")
    return Match(tuple(keys), tuple(paths), tuple(options), options[0], "a rule")


def _check_names(rule: str, keys: Any, paths: Any, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    for side, names, known in (("torch", keys, ours), ("JAX", paths, theirs)):
        for name in names:
            if name not in known:
                near = ", ".join(nearest(name, list(known)))
                raise UnmatchedParameter(f"{rule}: there is no {name} in the {side} network; near it are {near}")


def _check_nothing_is_left(matches: Sequence[Match], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    keys = {key for match in matches for key in match.keys}
    paths = {path for match in matches for path in match.paths}
    lines = []
    for side, other, left, free in (
        ("torch", "JAX", [p for p in ours.values() if p.name not in keys], [n for n in theirs if n not in paths]),
        ("JAX", "torch", [p for p in theirs.values() if p.name not in paths], [n for n in ours if n not in keys]),
    ):
        known = theirs if side == "torch" else ours
        for parameter in left:
            near = nearest(parameter.name, free or list(known))
            candidates = ", ".join(f"{name} {known[name].shape}" for name in near)
            taken = "" if free else ", which are all taken"
            lines.append(
                f"{side}'s {parameter.name} {parameter.shape} has none in {other}; near it are {candidates}{taken}"
            )
    if lines:
        raise UnmatchedParameter("parameters without counterpart:\n  " + "\n  ".join(lines) + "\ngive rules for them")
    if not matches:
        raise UnmatchedParameter("the networks have no parameters at all")
