"""Which module of one side is which of the other: those that hold the same parameters, and those of the same name."""

from collections.abc import Sequence
from typing import NamedTuple

from parity_tests.pairing.arrays import floats
from parity_tests.pairing.calls import Call
from parity_tests.pairing.key_map import KeyMap
from parity_tests.pairing.names import is_inside, similarity, words_of


class Paired(NamedTuple):
    """The same call on both sides.

    Attributes:
        name: torch's, with the number of the call where there are several; `network` for the whole.
        ours: the torch side's call.
        theirs: the JAX side's.
    """

    name: str
    ours: Call
    theirs: Call


def pair_calls(ours: Sequence[Call], theirs: Sequence[Call], key_map: KeyMap) -> list[Paired]:
    """Calls that belong together, in the order in which torch's modules return."""
    names = module_map(ours, theirs, key_map)
    found = []
    for name, other in names.items():
        left, right = ([call for call in calls if call.name == n] for calls, n in ((ours, name), (theirs, other)))
        for number, (a, b) in enumerate(zip(left, right, strict=False)):
            shown = (name or "network") + (f" (call {number + 1})" if len(left) > 1 else "")
            found.append(Paired(shown, a, b))
    place = {id(call): i for i, call in enumerate(ours)}
    return sorted(found, key=lambda pair: place[id(pair.ours)])


def module_map(ours: Sequence[Call], theirs: Sequence[Call], key_map: KeyMap) -> dict[str, str]:
    """JAX's module for every torch module that has one; the whole networks are each other's."""
    left, right = ({call.name: call for call in reversed(calls)} for calls in (ours, theirs))
    own = {name: _paths_of(name, key_map) for name in left}
    other = {path: frozenset(p for p in key_map.jax if is_inside(p, path, "/")) for path in right}
    found = {"": ""} if "" in left and "" in right else {}
    for held in dict.fromkeys(own.values()):
        if held:
            chains = (
                [name for name in _in_order(ours) if name and own[name] == held],
                [path for path in _in_order(theirs) if path and other[path] == held],
            )
            found |= _pair_chains(*chains, left, right)
    for name in left:  # without parameters: by the words of the name
        if name and not own[name]:
            same = [
                p for p in right if p and not other[p] and p not in found.values() and words_of(p) == words_of(name)
            ]
            if same:
                found[name] = same[0]
    return found


def _pair_chains(
    ours: Sequence[str], theirs: Sequence[str], left: dict[str, Call], right: dict[str, Call]
) -> dict[str, str]:
    """Modules that hold the same parameters lie one inside the other; those go together whose outputs are as large."""
    found: dict[str, str] = {}
    position = 0
    for name in ours:
        size = _sizes(left[name])
        places = [i for i in range(position, len(theirs)) if _sizes(right[theirs[i]]) == size]
        if places:
            best = max(places, key=lambda i: (similarity(f"{name}.x", f"{theirs[i]}/x"), -i))
            found[name] = theirs[best]
            position = best + 1
    return found


def _paths_of(name: str, key_map: KeyMap) -> frozenset[str]:
    """JAX's paths of all parameters inside a torch module; none where a match is only partly inside."""
    found: set[str] = set()
    for match in key_map.matches:
        inside = [is_inside(key, name, ".") for key in match.keys]
        if all(inside):
            found |= set(match.paths)
        elif any(inside):
            return frozenset()
    return frozenset(found)


def _in_order(calls: Sequence[Call]) -> list[str]:
    return list(dict.fromkeys(call.name for call in calls))


def _sizes(call: Call) -> list[int]:
    return [leaf.numel() if hasattr(leaf, "numel") else leaf.size for leaf in floats(call.output)]
