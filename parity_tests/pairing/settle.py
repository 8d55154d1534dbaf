"""Ambiguous layouts, settled by numbers: a square kernel is transposed if the networks agree so."""

from collections.abc import Callable
from dataclasses import replace

from parity_tests.pairing.guess import Match
from parity_tests.pairing.key_map import KeyMap

BETTER = 0.5
"""A less usual layout is taken where it at least halves the error."""

Error = Callable[[KeyMap], float]


def settle(key_map: KeyMap, of_networks: Error, of_module: Callable[[KeyMap, Match], float | None]) -> KeyMap:
    """The key map with one option chosen of each match, one match at a time, the usual option first.

    The module that holds the parameter says which is right; the whole networks where it cannot be run alone. Nothing is
    tried where the networks agree already.

    Args:
        key_map: with the likeliest option of each.
        of_networks: how far the networks are apart under a map.
        of_module: how far the module of a match is; None where it has no counterpart.
    """
    if not any(len(match.options) > 1 for match in key_map.matches) or of_networks(key_map) < 1e-9:
        return _said(key_map)
    for number, match in enumerate(key_map.matches):
        if len(match.options) < 2:
            continue
        own = of_module(key_map, match)
        error = of_networks(key_map) if own is None else own
        for option in match.options[1:]:
            changed = key_map.choosing(number, option)
            found = of_networks(changed) if own is None else of_module(changed, match)
            if found is not None and found < BETTER * error:
                key_map, error = changed, found
    return _said(key_map)


def _said(key_map: KeyMap) -> KeyMap:
    """The same, with the reason beside what had several options."""
    matches = [
        replace(match, why=f"{match.why}; of {len(match.options)} layouts, settled by numbers")
        if len(match.options) > 1
        else match
        for match in key_map.matches
    ]
    return replace(key_map, matches=tuple(matches))
