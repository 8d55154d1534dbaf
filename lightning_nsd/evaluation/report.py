"""What an evaluation found, and the numbers over its classes."""

import math
import statistics
from dataclasses import dataclass, field
from typing import Any

from lightning_nsd.evaluation.columns import COLUMNS, FID, FID_HIGH, Column, mean
from lightning_nsd.evaluation.row import Row
from lightning_nsd.metrics.confidence import NORMAL_QUANTILE, interval
from lightning_nsd.metrics.distances import NAN

WORST = 5


@dataclass
class Report:
    """The classes of one split at one step.

    Attributes:
        split: of the classes, or where else they are from.
        step: optimiser steps of the model; None where there is no model.
        distance: `fid`, or `fd_<extractor>`.
        kernel: `kid`, or `kd_<extractor>`.
        asked: images per class that were asked for.
        settings: what else the numbers depend on, as plain values.
        rows: the classes that are done.
        mixture: `mixture_in` and `mixture_out`, where they were asked for.
        complete: whether all classes are done.
    """

    split: str
    step: int | None
    distance: str
    kernel: str
    asked: int
    settings: dict[str, object] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    mixture: list[Row] = field(default_factory=list)
    complete: bool = False

    @property
    def title(self) -> str:
        """Whose distances they are."""
        step = "" if self.step is None else f" at step {self.step}"
        return f"{self.distance} of {len(self.rows)} classes ({self.split}){step}"

    def heading(self, column: Column) -> str:
        """A column's name in this report."""
        first, *more = column.name.split("_")
        return "_".join([{"fid": self.distance, "kid": self.kernel}.get(first, first), *more])

    @property
    def columns(self) -> list[Column]:
        """Those of this report: an optional one stands in it where any class has a value."""
        return [column for column in COLUMNS if not column.optional or self._has(column)]

    def _has(self, column: Column) -> bool:
        return any(not math.isnan(column.of(row)) for row in [*self.rows, *self.mixture])

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Headings, and the cells of every class and mixture under them."""
        rows = [[column.of(row) for column in self.columns] for row in [*self.rows, *self.mixture]]
        return [self.heading(column) for column in self.columns], rows

    @property
    def ranked(self) -> list[Row]:
        """The classes with a distance, worst first."""
        known = [row for row in self.rows if math.isfinite(FID.of(row))]
        return sorted(known, key=lambda row: -FID.of(row))

    @property
    def sizes(self) -> list[int]:
        """Every n that occurs among the classes with a distance, increasing."""
        return sorted({row.n for row in self.ranked})

    def average(self, column: Column) -> float:
        """A column's average over the classes with a distance; NaN where it has none."""
        return column.average(column.of(row) for row in self.ranked) if column.average else NAN

    def summary(self) -> dict[str, float]:
        """Numbers over the classes that have a distance.

        From `mean_low` to `mean_high` is the interval of 95 % about the mean. The classes' images are independent, so
        that the variances add up: half of it is √(Σ h²) / K, with h half of each class's interval, of K classes. It is
        NaN where a class has none.
        `worst5` is the mean of the five largest distances. The Fréchet distance's bias depends on n, so the least
        and the largest n stand beside the mean.
        """
        distances = [FID.of(row) for row in self.ranked]
        average = self.average(FID)
        halves = [FID_HIGH.of(row) - FID.of(row) for row in self.ranked]
        low, high = interval(average, math.hypot(*halves) / NORMAL_QUANTILE / max(len(halves), 1))
        columns = [column for column in self.columns if column.average and not column.by_class]
        return {
            "mean": average,
            "mean_low": low,
            "mean_high": high,
            "median": statistics.median(distances) if distances else NAN,
            "worst5": mean(distances[:WORST]),
            **{column.name.removeprefix("fid_"): self.average(column) for column in columns},
            "n_min": float(min(self.sizes, default=0)),
            "n_max": float(max(self.sizes, default=0)),
            "failed": float(sum(row.failed for row in [*self.rows, *self.mixture])),
        }

    def figures(self) -> dict[str, float]:
        """Everything that goes to loggers, by key: `val/fid/mean`, `val/fid/<class>`, `val/kid/mean`, …

        A class that has the name of one of the summary's numbers is `class_<name>`.
        """
        summary = self.summary()
        by_class = {f"{self.split}/{self.heading(column)}": column for column in self.columns if column.by_class}
        found = {f"{self.split}/{self.distance}/{name}": value for name, value in summary.items()}
        found |= {f"{key}/mean": self.average(column) for key, column in by_class.items()}
        for row in [*self.rows, *self.mixture]:
            name = f"class_{row.name}" if row.name in summary else row.name
            found |= {f"{key}/{name}": column.of(row) for key, column in by_class.items()}
        return found
