"""Whether two groups of figures have the same mean, and how far apart they could be without anybody seeing it."""

import math
from collections.abc import Mapping, Sequence
from statistics import mean, variance
from typing import NamedTuple

from scipy import stats

LEVEL = 0.95
"""Of the intervals. Where sides are equal, one comparison of all figures in twenty says otherwise."""


class Interval(NamedTuple):
    """A mean, and how far the true one may be from it at `LEVEL`."""

    mean: float
    half: float


class Agreement(NamedTuple):
    """One figure on both sides.

    Attributes:
        ours: of the first group.
        theirs: of the second.
        difference: ours − theirs; `half` is also the smallest difference that is likely to be seen.
        p: probability of a difference as large where there is none.
        agree: whether the difference may be chance, with all figures in view (see `compare`).
    """

    ours: Interval
    theirs: Interval
    difference: Interval
    p: float
    agree: bool


def interval(values: Sequence[float]) -> Interval:
    """Of a mean, by Student's t.

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"an interval needs two values at least, and there are {len(values)}")
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * math.sqrt(variance(values) / len(values))
    return Interval(mean(values), half)


def difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[Interval, float]:
    """Of two means with variances of their own (Welch 1947), and the probability of as large a one by chance.

    Raises:
        ValueError: fewer than two values, or values that are not finite.
    """
    if min(len(ours), len(theirs)) < 2 or not all(map(math.isfinite, (*ours, *theirs))):
        raise ValueError("a difference needs two finite values at least on either side")
    apart = mean(ours) - mean(theirs)
    if variance(ours) == variance(theirs) == 0:
        return Interval(apart, 0.0), float(apart == 0)
    test = stats.ttest_ind(ours, theirs, equal_var=False)
    return Interval(apart, float(test.confidence_interval(LEVEL).high) - apart), float(test.pvalue)


def compare(ours: Mapping[str, Sequence[float]], theirs: Mapping[str, Sequence[float]]) -> dict[str, Agreement]:
    """Every figure of both sides.

    The more figures, the likelier it is that one differs by chance. So the least probable of m must be so by m times
    as much, the next one by m − 1 times (Holm 1979): sides that are equal agree in everything in 19 of 20 comparisons.

    Args:
        ours: figures of the first group's runs, by name.
        theirs: of the second group's.

    Raises:
        ValueError: other names, or see `difference`.
    """
    if ours.keys() != theirs.keys():
        raise ValueError(f"only one side has {', '.join(sorted(ours.keys() ^ theirs.keys()))}")
    found = {name: difference(ours[name], theirs[name]) for name in ours}
    differ: set[str] = set()
    for rank, name in enumerate(sorted(found, key=lambda name: found[name][1])):
        if found[name][1] > (1 - LEVEL) / (len(found) - rank):
            break
        differ.add(name)
    return {
        name: Agreement(interval(ours[name]), interval(theirs[name]), apart, p, name not in differ)
        for name, (apart, p) in found.items()
    }
