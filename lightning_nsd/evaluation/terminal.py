"""A short table in the terminal."""

from pathlib import Path

from rich.table import Table

from lightning_nsd.evaluation.files import CSV_FILE
from lightning_nsd.evaluation.report import WORST, Report, Row
from lightning_nsd.terminal import console

ALL_UP_TO = 12


def print_report(report: Report, folder: Path | None) -> None:
    """The mean, the worst five classes and the best five (all of a few), what has no distance, and where all is.

    Args:
        folder: where the tables are; None if nowhere.
    """
    ranked, summary = report.ranked, report.summary()
    table = Table(title=report.title, title_justify="left")
    table.add_column("class")
    for name in ("n", report.distance, report.kernel, "floor", "precision", "recall"):
        table.add_column(name, justify="right")
    if len(ranked) <= ALL_UP_TO:
        _add(table, ranked)
    else:
        _add(table, ranked[:WORST])
        table.add_row(f"… {len(ranked) - 2 * WORST} more …")
        _add(table, ranked[-WORST:])
    for row in report.rows:
        if row.reason:
            table.add_row(row.name, str(row.n), "nan", style="yellow")
    if report.mixture:
        table.add_section()
        _add(table, report.mixture)
    table.add_section()
    sizes = f"{summary['n_min']:.0f}" if len(report.sizes) < 2 else f"{report.sizes[0]}…{report.sizes[-1]}"
    kernel = report.figures()[f"{report.split}/{report.kernel}/mean"]
    table.add_row(
        "mean", sizes, *map(_show, (summary["mean"], kernel, summary["floor"], summary["precision"], summary["recall"]))
    )
    table.add_row("median", "", _show(summary["median"]))
    out = console()
    out.print(table)
    for row in report.rows:
        if row.reason:
            out.print(f"{row.name}: {row.reason}")
    if summary["failed"]:
        out.print(f"{summary['failed']:.0f} of {len(report.rows)} classes failed; see the traceback above.")
    if folder:
        out.print(f"{report.distance} of every class: {folder / CSV_FILE}")


def _add(table: Table, rows: list[Row]) -> None:
    for row in rows:
        found = row.distances
        values = (found.fid, found.kid, found.floor, found.precision, found.recall)
        table.add_row(row.name, str(row.n), *map(_show, values))


def _show(value: float) -> str:
    return f"{value:.4g}"
