"""What an evaluation found, and the numbers over its classes."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from lightning_nsd.metrics.distances import NAN, Distances

WORST = 5
RESERVED = frozenset({"mean", "median", "worst5", "floor", "precision", "recall", "n_min", "n_max", "failed"})


class Row(NamedTuple):
    """One class.

    Attributes:
        name: of the class.
        available: real images that there are.
        n: images compared, real and generated alike.
        distances: NaN where nothing can be said.
        reason: why nothing can be said, else empty.
        failed: something raised; unlike a class that is too small.
        strip: the first generated images, bytes `(k, C, H, W)`.
    """

    name: str
    available: int
    n: int
    distances: Distances = Distances()
    reason: str = ""
    failed: bool = False
    strip: Tensor | None = None


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

    @property
    def ranked(self) -> list[Row]:
        """The classes with a distance, worst first."""
        known = [row for row in self.rows if math.isfinite(row.distances.fid)]
        return sorted(known, key=lambda row: -row.distances.fid)

    @property
    def sizes(self) -> list[int]:
        """Every n that occurs among the classes with a distance, increasing."""
        return sorted({row.n for row in self.ranked})

    def summary(self) -> dict[str, float]:
        """Numbers over the classes that have a distance.

        `worst5` is the mean of the five largest distances. The Fréchet distance's bias depends on n, so the least
        and the largest n stand beside the mean.
        """
        ranked = self.ranked
        distances = [row.distances.fid for row in ranked]
        return {
            "mean": mean(distances),
            "median": statistics.median(distances) if distances else NAN,
            "worst5": mean(distances[:WORST]),
            "floor": mean(row.distances.floor for row in ranked),
            "precision": mean(row.distances.precision for row in ranked),
            "recall": mean(row.distances.recall for row in ranked),
            "n_min": float(min(self.sizes, default=0)),
            "n_max": float(max(self.sizes, default=0)),
            "failed": float(sum(row.failed for row in [*self.rows, *self.mixture])),
        }

    def figures(self) -> dict[str, float]:
        """Everything that goes to loggers, by key: `val/fid/mean`, `val/fid/<class>`, `val/kid/mean`, …"""
        distance, kernel = f"{self.split}/{self.distance}", f"{self.split}/{self.kernel}"
        found = {f"{distance}/{name}": value for name, value in self.summary().items()}
        found[f"{kernel}/mean"] = mean(row.distances.kid for row in self.ranked)
        for row in self.rows:
            name = f"class_{row.name}" if row.name in RESERVED else row.name
            found[f"{distance}/{name}"] = row.distances.fid
            found[f"{kernel}/{name}"] = row.distances.kid
        for row in self.mixture:
            found[f"{distance}/{row.name}"] = row.distances.fid
            found[f"{kernel}/{row.name}"] = row.distances.kid
        return found


def mean(values: Iterable[float]) -> float:
    """The mean of those that are finite; NaN if none is."""
    finite = [value for value in values if math.isfinite(value)]
    return statistics.fmean(finite) if finite else NAN
