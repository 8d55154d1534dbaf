"""The table of an evaluation as files: readable at every moment, also after an evaluation that was broken off."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from lightning_nsd.evaluation.report import WORST, Report
from lightning_nsd.files.whole_file import write_text
from lightning_nsd.runs.folder import DISTANCE_FOLDER

CSV_FILE = "per_class.csv"
JSON_FILE = "per_class.json"
CHART_FILE = "per_class.png"
SCATTER_FILE = "recognisability.png"


def folder_of(root: Path, report: Report) -> Path:
    """`<run>/distances/<split>_<distance>_step=…`."""
    step = "" if report.step is None else f"_step={report.step:08d}"
    return root / DISTANCE_FOLDER / f"{report.split}_{report.distance}{step}"


def write_tables(folder: Path, report: Report) -> None:
    """Write `per_class.csv` and `per_class.json`, each in one step.

    Raises:
        OSError: they cannot be written.
    """
    headings, rows = report.table()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([headings, *rows])
    write_text(folder / CSV_FILE, text.getvalue())
    write_text(folder / JSON_FILE, json.dumps(as_plain(report), indent=1, ensure_ascii=False) + "\n")


def as_plain(report: Report) -> dict[str, Any]:
    """The report for JSON, which knows no NaN: null stands for it."""
    headings, rows = report.table()
    classes = [dict(zip(headings, map(without_nan, cells), strict=True)) for cells in rows]
    return {
        "split": report.split,
        "step": report.step,
        "distance": report.distance,
        "complete": report.complete,
        "num_samples": report.asked,
        **report.settings,
        "summary": {name: without_nan(value) for name, value in report.summary().items()},
        "worst": [row.name for row in report.ranked[:WORST]],
        "classes": classes[: len(report.rows)],
        "mixture": classes[len(report.rows) :],
    }


def without_nan(value: Any) -> Any:
    """None for NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
