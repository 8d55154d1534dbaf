"""A short table in the terminal."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from lightning_nsd.evaluation.columns import (
    BITS,
    BITS_ERROR,
    COPIES,
    DIVERSITY,
    FID,
    ORIGINALITY,
    PIXEL_COPIES,
    RECOGNISED,
    RECOGNISED_REAL,
    Column,
    N,
)
from lightning_nsd.evaluation.files import CSV_FILE
from lightning_nsd.evaluation.report import WORST, Report
from lightning_nsd.evaluation.row import Row
from lightning_nsd.terminal import console

ALL_UP_TO = 12
ROOM = 110
"""Characters of a line that has room for all columns."""


def print_report(report: Report, folder: Path | None) -> None:
    """The mean, the worst five classes and the best five (all of a few), what has no distance, and where all is.

    Columns beyond those of a terminal of 80 characters are shown where there is room; their means always are.

    Args:
        folder: where the tables are; None if nowhere.
    """
    out = console()
    shown = [column for column in report.columns if column.format and (not column.wide or out.width >= ROOM)]
    table = Table(title=report.title, title_justify="left")
    for column in shown:
        table.add_column(report.heading(column), justify="left" if column.format == "s" else "right")
    ranked, summary = report.ranked, report.summary()
    if len(ranked) <= ALL_UP_TO:
        _add(table, shown, ranked)
    else:
        _add(table, shown, ranked[:WORST])
        table.add_row(f"… {len(ranked) - 2 * WORST} more …")
        _add(table, shown, ranked[-WORST:])
    for row in report.rows:
        if row.reason:
            table.add_row(*_cells(shown, row)[: shown.index(FID) + 1], style="yellow")
    if report.mixture:
        table.add_section()
        _add(table, shown, report.mixture)
    table.add_section()
    sizes = f"{summary['n_min']:.0f}" if len(report.sizes) < 2 else f"{report.sizes[0]}…{report.sizes[-1]}"
    means = {column: format(report.average(column), column.format) for column in shown if column.average}
    _add_summary(table, shown, "mean", {N: sizes, **means})
    _add_summary(table, shown, "median", {FID: format(summary["median"], FID.format)})
    out.print(table)
    for line in _means(report, summary):
        out.print(line)
    for row in report.rows:
        if row.reason:
            out.print(f"{row.name}: {row.reason}")
    if summary["failed"]:
        out.print(f"{summary['failed']:.0f} of {len(report.rows)} classes failed; see the traceback above.")
    if folder:
        out.print(f"{report.distance} of every class: {folder / CSV_FILE}")


def _means(report: Report, summary: Mapping[str, float]) -> Iterator[str]:
    """What is said of the classes together, as far as it is known."""
    if not math.isnan(summary["mean_low"]):
        low, high = (format(summary[name], FID.format) for name in ("mean_low", "mean_high"))
        yield f"mean {report.distance}: 95 % between {low} and {high}"
    recognised, originality = report.average(RECOGNISED), report.average(ORIGINALITY)
    if not math.isnan(recognised):
        real = report.average(RECOGNISED_REAL)
        yield f"recognised: {recognised:.3g} of what was drawn, {real:.3g} of real images"
    if not math.isnan(originality):
        diversity, copies = report.average(DIVERSITY), max(report.average(COPIES), report.average(PIXEL_COPIES))
        yield f"real images are 1: originality {originality:.3g}, diversity {diversity:.3g}; copies {copies:.1%}"
    bits, error = report.average(BITS), report.average(BITS_ERROR)
    if not math.isnan(bits):
        sampled = f" ± {error:.2g}, the standard error of the timesteps that were left out" if error else ""
        yield f"bits per dimension of real images: {bits:.4g}{sampled}"


def _cells(shown: Sequence[Column], row: Row) -> list[str]:
    return [format(column.of(row), column.format) for column in shown]


def _add(table: Table, shown: Sequence[Column], rows: list[Row]) -> None:
    for row in rows:
        table.add_row(*_cells(shown, row))


def _add_summary(table: Table, shown: Sequence[Column], name: str, cells: Mapping[Column, str]) -> None:
    table.add_row(name, *(cells.get(column, "") for column in shown[1:]))
