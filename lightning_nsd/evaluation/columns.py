"""The columns of the table of classes. Files, terminal, loggers, summary and chart are all made from this list."""

import math
import statistics
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, NamedTuple

from lightning_nsd.evaluation.row import Row
from lightning_nsd.metrics.distances import NAN


def mean(values: Iterable[float]) -> float:
    """The mean of those that are finite; NaN if none is."""
    finite = [value for value in values if math.isfinite(value)]
    return statistics.fmean(finite) if finite else NAN


class Column(NamedTuple):
    """One column.

    Attributes:
        name: its heading; a report has names of its own for `fid` and `kid`.
        of: a class's value.
        format: of a value in the terminal; empty where it is not shown there.
        average: makes one number of the classes' values; None where there is none.
        by_class: whether loggers get every class's value, under the column's name; else they get the average alone,
            under the distance's.
    """

    name: str
    of: Callable[[Row], Any]
    format: str = ""
    average: Callable[[Iterable[float]], float] | None = None
    by_class: bool = False


FID = Column("fid", attrgetter("distances.fid"), ".4g", mean, by_class=True)
FLOOR = Column("floor", attrgetter("distances.floor"), ".4g", mean)
FLOOR_N = Column("floor_n", attrgetter("distances.floor_n"))
N = Column("n", attrgetter("n"), "d")
COLUMNS = (
    Column("class", attrgetter("name"), "s"),
    Column("images", attrgetter("available")),
    N,
    FID,
    Column("kid", attrgetter("distances.kid"), ".4g", mean, by_class=True),
    FLOOR,
    FLOOR_N,
    Column("precision", attrgetter("distances.precision"), ".4g", mean),
    Column("recall", attrgetter("distances.recall"), ".4g", mean),
    Column("reason", attrgetter("reason")),
)
