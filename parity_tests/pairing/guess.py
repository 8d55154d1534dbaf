"""Which parameter of one side is which of the other, guessed from names, shapes and the order of calls."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import nn

from parity_tests.pairing.layouts import Layout, fits
from parity_tests.pairing.names import kind_of, similarity, words_of
from parity_tests.pairing.transforms import Join, Single, Split, Transform

Shape = tuple[int, ...]
IMPOSSIBLE = -1e6
ORDER = 0.5
"""What the same place in the order of calls is worth; names that are all alike are worth 1."""
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED_CONVOLUTIONS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
THREE = ("query", "key", "value")


@dataclass(frozen=True)
class Parameter:
    """A parameter of either side.

    Attributes:
        name: torch's key or JAX's path.
        shape: of it.
        place: where its module stands in the order of calls.
        owner: the torch module that holds it; None in JAX.
        is_statistic: it is not trained.
    """

    name: str
    shape: Shape
    place: int
    owner: nn.Module | None = None
    is_statistic: bool = False


@dataclass(frozen=True)
class Match:
    """Parameters that belong together.

    Attributes:
        keys: torch's.
        paths: JAX's.
        options: how the ones may become the others, the likeliest first; more than one is settled by numbers.
        how: what was chosen.
        why: a rule, or the likeness of names.
    """

    keys: tuple[str, ...]
    paths: tuple[str, ...]
    options: tuple[Transform, ...]
    how: Transform
    why: str


def transforms_of(torch: Parameter, jax_shape: Shape) -> list[Transform]:
    """How a torch parameter may become a JAX parameter of a shape; none where it cannot."""
    n = len(torch.shape)
    spatial = tuple(range(2, n))
    orders: list[tuple[int, ...] | None]
    flips: tuple[int, ...] = ()
    if isinstance(torch.owner, CONVOLUTIONS) and n > 2:
        orders = [(*spatial, 1, 0)]
    elif isinstance(torch.owner, TRANSPOSED_CONVOLUTIONS) and n > 2:
        orders, flips = [(*spatial, 0, 1), (*spatial, 1, 0)], tuple(range(n - 2))
    elif isinstance(torch.owner, nn.Embedding) or n < 2:
        orders = [None]
    elif isinstance(torch.owner, nn.Linear):
        orders = [(1, 0), None]
    else:
        orders = [None, (1, 0)] if n == 2 else [None, (*spatial, 1, 0)]
    found = [layout for order in orders if (layout := fits(order, torch.shape, jax_shape))]
    if flips:
        found = [Layout(layout.axes, layout.shape, turned) for layout in found for turned in (flips, ())]
    return [Single(layout) for layout in dict.fromkeys(found)]


def may_be_the_same(a: Parameter, b: Parameter) -> bool:
    """Whether kinds go together: a weight is no bias, and what is trained is no statistic."""
    kinds = {kind_of(a.name), kind_of(b.name)}
    return a.is_statistic == b.is_statistic and (len(kinds) == 1 or not kinds <= {"weight", "bias", "mean", "variance"})


def guess(torch: Sequence[Parameter], jax: Sequence[Parameter]) -> list[Match]:
    """The likeliest matches: of a fused q, k, v with its three parts, then of one with one; others stay out."""
    matches: list[Match] = []
    ours, theirs = ({p.name for triple in _triples(side) for p in triple} for side in (torch, jax))
    if len(theirs) > len(ours):
        matches += _fused([p for p in torch if p.name not in ours], [p for p in jax if p.name in theirs], True)
    elif len(ours) > len(theirs):
        matches += _fused([p for p in jax if p.name not in theirs], [p for p in torch if p.name in ours], False)
    keys = {key for match in matches for key in match.keys}
    paths = {path for match in matches for path in match.paths}
    return [
        *matches,
        *_one_with_one([p for p in torch if p.name not in keys], [p for p in jax if p.name not in paths]),
    ]


def _one_with_one(torch: Sequence[Parameter], jax: Sequence[Parameter]) -> Iterator[Match]:
    if not torch or not jax:
        return
    options = {(i, j): transforms_of(a, b.shape) for i, a in enumerate(torch) for j, b in enumerate(jax)
               if may_be_the_same(a, b)}  # fmt: skip
    ours, theirs = _ranks(torch), _ranks(jax)
    scores = np.full((len(torch), len(jax)), IMPOSSIBLE)
    for (i, j), found in options.items():
        if found:
            order = 1 - abs(ours[torch[i].name] - theirs[jax[j].name])
            scores[i, j] = similarity(torch[i].name, jax[j].name) + ORDER * order
    for i, j in zip(*linear_sum_assignment(scores, maximize=True), strict=True):
        if scores[i, j] > IMPOSSIBLE:
            a, b = torch[i], jax[j]
            ways = tuple(options[i, j])
            yield Match((a.name,), (b.name,), ways, ways[0], f"names {similarity(a.name, b.name):.2f} alike")


def _ranks(parameters: Sequence[Parameter]) -> Mapping[str, float]:
    """Where a parameter stands among those of its kind and size, from 0 to 1."""
    groups: dict[tuple[str, int], list[Parameter]] = {}
    for parameter in parameters:
        groups.setdefault((kind_of(parameter.name), int(np.prod(parameter.shape))), []).append(parameter)
    ranks = {}
    for group in groups.values():
        for rank, parameter in enumerate(sorted(group, key=lambda p: p.place)):
            ranks[parameter.name] = rank / max(1, len(group) - 1)
    return ranks


def _fused(whole: Sequence[Parameter], parts: Sequence[Parameter], of_torch: bool) -> Iterator[Match]:
    """A parameter that is the q, k and v of one module together, those first whose names are most alike."""
    left = {one.name: one for one in whole}
    possible = [
        (one, triple, layout)
        for triple in _triples(parts)
        for one in whole
        if (layout := _layout_of_fused(one, triple, of_torch)) is not None
    ]
    used: set[str] = set()
    for one, triple, layout in sorted(possible, key=lambda found: -similarity(found[0].name, found[1][0].name)):
        names = tuple(part.name for part in triple)
        if one.name not in left or used & set(names):
            continue
        used |= set(names)
        del left[one.name]
        how: Transform = Split(layout) if of_torch else Join(layout)
        keys, paths = ((one.name,), names) if of_torch else (names, (one.name,))
        yield Match(keys, paths, (how,), how, "a fused query, key and value")


def _layout_of_fused(one: Parameter, triple: tuple[Parameter, ...], of_torch: bool) -> Layout | None:
    """The layout of each part, or of all in one; None where kinds or shapes are not those of a fused parameter."""
    if len({part.shape for part in triple}) > 1 or not all(may_be_the_same(one, part) for part in triple):
        return None
    first = one.shape if of_torch else triple[0].shape
    if of_torch and first[0] % len(triple):
        return None
    part = (first[0] // len(triple), *first[1:]) if of_torch else (first[0] * len(triple), *first[1:])
    order = (*range(2, len(part)), 1, 0) if len(part) > 1 else None  # a kernel's axes behind one another, or a bias
    return fits(order, part, triple[0].shape if of_torch else one.shape)


def _triples(parts: Iterable[Parameter]) -> Iterator[tuple[Parameter, ...]]:
    """Parameters that are query, key and value of the same module, in this order."""
    groups: dict[tuple[str, ...], dict[str, Parameter]] = {}
    for part in parts:
        words = words_of(part.name)
        for word in THREE:
            if word in words:
                groups.setdefault(tuple("*" if w == word else w for w in words), {})[word] = part
    yield from (tuple(group[word] for word in THREE) for group in groups.values() if set(THREE) <= group.keys())
