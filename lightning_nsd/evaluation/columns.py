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


def error_of_mean(errors: Iterable[float]) -> float:
    """The standard error of a mean from those of its K independent parts, √(Σ e²) / K; NaN if none is finite."""
    finite = [error for error in errors if math.isfinite(error)]
    return math.hypot(*finite) / len(finite) if finite else NAN


class Column(NamedTuple):
    """One column.

    Attributes:
        name: its heading; a report has names of its own for `fid` and `kid`, and so for `fid_…`.
        of: a class's value.
        format: of a value in the terminal; empty where it is not shown there.
        wide: whether a terminal shows it only where there is room for more than 80 columns.
        average: makes one number of the classes' values; None where there is none.
        by_class: whether loggers get every class's value, under the column's name; else they get the average alone,
            under the distance's.
        optional: left out of a report where no class has a value.
    """

    name: str
    of: Callable[[Row], Any]
    format: str = ""
    average: Callable[[Iterable[float]], float] | None = None
    by_class: bool = False
    wide: bool = False
    optional: bool = False


FID = Column("fid", attrgetter("distances.fid"), ".4g", mean, by_class=True)
FID_HIGH = Column("fid_high", attrgetter("distances.fid_high"))
FLOOR = Column("floor", attrgetter("distances.floor"), ".4g", mean)
FLOOR_N = Column("floor_n", attrgetter("distances.floor_n"))
N = Column("n", attrgetter("n"), "d")
RECOGNISED = Column("recognised", attrgetter("recognised"), ".3g", mean, wide=True)
RECOGNISED_REAL = Column("recognised_real", attrgetter("recognised_real"), average=mean)
ORIGINALITY = Column("originality", attrgetter("originality.originality"), ".3g", mean, wide=True)
DIVERSITY = Column("diversity", attrgetter("originality.diversity"), ".3g", mean, wide=True)
COPIES = Column("copies", attrgetter("originality.copies"), average=mean)
PIXEL_COPIES = Column("pixel_copies", attrgetter("pixels.copies"), average=mean)
BITS = Column("bits", attrgetter("bits.total"), ".4g", mean, by_class=True, wide=True, optional=True)
BITS_ERROR = Column("bits_error", attrgetter("bits.error"), "", error_of_mean, by_class=True, optional=True)
COLUMNS = (
    Column("class", attrgetter("name"), "s"),
    Column("images", attrgetter("available")),
    N,
    FID,
    Column("fid_low", attrgetter("distances.fid_low")),
    FID_HIGH,
    Column("fid_infinity", attrgetter("distances.fid_infinity"), average=mean),
    Column("kid", attrgetter("distances.kid"), ".4g", mean, by_class=True),
    FLOOR,
    FLOOR_N,
    Column("precision", attrgetter("distances.precision"), ".4g", mean),
    Column("recall", attrgetter("distances.recall"), ".4g", mean),
    RECOGNISED,
    RECOGNISED_REAL,
    ORIGINALITY,
    DIVERSITY,
    COPIES,
    Column("pixel_originality", attrgetter("pixels.originality"), average=mean),
    Column("pixel_diversity", attrgetter("pixels.diversity"), average=mean),
    PIXEL_COPIES,
    Column("inception_score", attrgetter("scores.inception_score"), ".4g", mean, wide=True, optional=True),
    Column("sfid", attrgetter("scores.sfid"), ".4g", mean, wide=True, optional=True),
    BITS,
    BITS_ERROR,
    Column("bits_prior", attrgetter("bits.prior"), average=mean, optional=True),
    Column("bits_decoder", attrgetter("bits.decoder"), average=mean, optional=True),
    Column("bits_context", attrgetter("bits.context"), average=mean, optional=True),
    Column("bits_images", lambda row: row.bits_images or NAN, optional=True),
    Column("reason", attrgetter("reason")),
)
