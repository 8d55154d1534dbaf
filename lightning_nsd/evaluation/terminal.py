"""A short table in the terminal."""

from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from lightning_nsd.evaluation.columns import COLUMNS, FID, Column, N
from lightning_nsd.evaluation.files import CSV_FILE
from lightning_nsd.evaluation.report import WORST, Report
from lightning_nsd.evaluation.row import Row
from lightning_nsd.terminal import console

ALL_UP_TO = 12
SHOWN = [column for column in COLUMNS if column.format]


def print_report(report: Report, folder: Path | None) -> None:
    """The mean, the worst five classes and the best five (all of a few), what has no distance, and where all is.

    Args:
        folder: where the tables are; None if nowhere.
    """
    table = Table(title=report.title, title_justify="left")
    for column in SHOWN:
        table.add_column(report.heading(column), justify="left" if column.format == "s" else "right")
    ranked, summary = report.ranked, report.summary()
    if len(ranked) <= ALL_UP_TO:
        _add(table, ranked)
    else:
        _add(table, ranked[:WORST])
        table.add_row(f"… {len(ranked) - 2 * WORST} more …")
        _add(table, ranked[-WORST:])
    for row in report.rows:
        if row.reason:
            table.add_row(*_cells(row)[: SHOWN.index(FID) + 1], style="yellow")
    if report.mixture:
        table.add_section()
        _add(table, report.mixture)
    table.add_section()
    sizes = f"{summary['n_min']:.0f}" if len(report.sizes) < 2 else f"{report.sizes[0]}…{report.sizes[-1]}"
    means = {column: format(report.average(column), column.format) for column in SHOWN if column.average}
    _add_summary(table, "mean", {N: sizes, **means})
    _add_summary(table, "median", {FID: format(summary["median"], FID.format)})
    out = console()
    out.print(table)
    for row in report.rows:
        if row.reason:
            out.print(f"{row.name}: {row.reason}")
    if summary["failed"]:
        out.print(f"{summary['failed']:.0f} of {len(report.rows)} classes failed; see the traceback above.")
    if folder:
        out.print(f"{report.distance} of every class: {folder / CSV_FILE}")


def _cells(row: Row) -> list[str]:
    return [format(column.of(row), column.format) for column in SHOWN]


def _add(table: Table, rows: list[Row]) -> None:
    for row in rows:
        table.add_row(*_cells(row))


def _add_summary(table: Table, name: str, cells: Mapping[Column, str]) -> None:
    table.add_row(name, *(cells.get(column, "") for column in SHOWN[1:]))
