"""All figures of a run as one CSV, whole at every moment."""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from lightning_nsd.files.lines import append
from lightning_nsd.files.whole_file import write_text

STEP = "step"
FIRST_COLUMNS = (STEP, "epoch")
EVALUATION = ("val/", "test/")

Row = dict[str, Any]


class MetricsFile(Logger):
    """A line of figures is appended and flushed; for a new column the file is replaced whole.

    So a run that is killed leaves every line that was logged. What cannot be written waits in memory for the next
    time. A resumed run goes on in the same file: lines from behind the step where it starts, which it computes again,
    are left out, so that no step is there twice and none is missing.

    Args:
        folder: where the file is.
        name: the file's name without `.csv`.
        one_run: the lines follow each other in time. Without it, each stands for itself, and a later one
            takes the place of those of the same step.
    """

    def __init__(self, folder: Path, name: str = "metrics", one_run: bool = True) -> None:
        super().__init__()
        self.path = folder / f"{name}.csv"
        self.one_run = one_run
        self._columns: list[str] | None = None  # None until this process has written
        self._waiting: list[Row] = []

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def version(self) -> None:
        return None

    @property
    def save_dir(self) -> str:
        return str(self.path.parent)

    @property
    def log_dir(self) -> str:
        """The folder of the file."""
        return str(self.path.parent)

    def log_hyperparams(self, *arguments: Any, **named: Any) -> None:
        """Nothing: a run's configuration has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Take a line; `save` writes it."""
        self._waiting.append({STEP: step or 0, **metrics})

    @rank_zero_only
    def save(self) -> None:
        """Write what waits.

        Raises:
            OSError: it cannot be written, and goes on waiting; what the file held is as it was.
        """
        if not self._waiting:
            return
        found = {name for row in self._waiting for name in row}
        if self._columns is not None and found <= set(self._columns) and self.path.exists():
            append(self.path, as_csv(self._columns, self._waiting))
        else:
            rows = [*self._earlier_rows(), *self._waiting]
            columns = in_order({name for row in rows for name in row})
            head = dict(zip(columns, columns, strict=True))
            write_text(self.path, as_csv(columns, [head, *rows]))
            self._columns = columns
        self._waiting = []

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()

    def _earlier_rows(self) -> list[Row]:
        """The lines that stay in front of those that wait."""
        rows = read_rows(self.path)
        if self._columns is not None:  # this process has sorted out already
            return rows
        first = self._waiting[0]
        if self.one_run:
            return [row for row in rows if moment(row) < moment(first)]
        return [row for row in rows if row[STEP] != first[STEP]]


def moment(row: Mapping[str, Any]) -> tuple[int, bool]:
    """When it was logged: the evaluation after k steps comes before the training step from k to k + 1."""
    return int(row[STEP]), not any(name.startswith(EVALUATION) for name in row)


def in_order(columns: Iterable[str]) -> list[str]:
    """Step and epoch, then the others sorted."""
    return sorted(columns, key=lambda name: (FIRST_COLUMNS.index(name) if name in FIRST_COLUMNS else 2, name))


def as_csv(columns: list[str], rows: Iterable[Row]) -> str:
    """Lines of a CSV without its head."""
    text = io.StringIO()
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()


def read_rows(path: Path) -> list[Row]:
    """The lines of a file, each without its empty cells; none where there is no file.

    A last line that was broken off is left out. A file that is damaged otherwise is kept under another name.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return []
    try:
        lines = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""), strict=True)
        if STEP not in (lines.fieldnames or [STEP]):
            raise ValueError(f"its first line names no column {STEP}")
        rows = [{name: cell for name, cell in line.items() if name is not None and cell} for line in lines]
        return [{**row, STEP: int(row[STEP])} for row in rows]
    except (csv.Error, KeyError, ValueError) as error:
        damaged = path.with_name(f"{path.name}.damaged")
        os.replace(path, damaged)
        rank_zero_warn(f"{path} is damaged ({error}); it is now {damaged.name}, and the figures begin anew.")
        return []
