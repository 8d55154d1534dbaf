"""What the folder of a run holds about one of its checkpoints: distances of classes, and pictures."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from lightning_nsd.evaluation.columns import COLUMNS
from lightning_nsd.evaluation.files import JSON_FILE
from lightning_nsd.runs.folder import DISTANCE_FOLDER, PICTURE_FOLDER

MOST_BYTES = 50_000_000


class Table(NamedTuple):
    """The distances of a split's classes.

    Attributes:
        split: of the classes.
        distance: its name, such as `fd_glyphnet`.
        num_samples: images per class that were asked for.
        complete: whether all classes were done.
        summary: numbers over the classes by their names; None where there is none.
        headings: of the columns that are shown, the classes' names first.
        rows: their cells, a row for each class.
    """

    split: str
    distance: str
    num_samples: int
    complete: bool
    summary: dict[str, float | None]
    headings: list[str]
    rows: list[list[Any]]


class RunOutputs(NamedTuple):
    """What belongs to the weights of one step.

    Attributes:
        tables: distances, of the test's classes last.
        pictures: grids of support sets and of what is drawn from them, those of held-out classes first.
        unread: files that should hold distances and do not.
    """

    tables: list[Table]
    pictures: list[Path]
    unread: list[Path]


def outputs_of(root: Path, step: int) -> RunOutputs:
    """What a run's folder holds of the weights at one step; of others nothing is taken.

    Args:
        root: the run's folder.
        step: optimiser steps that the weights have taken.
    """
    tables, unread = [], []
    for file in sorted((root / DISTANCE_FOLDER).glob(f"*/{JSON_FILE}"), reverse=True):
        try:
            found = _read(file)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            unread.append(file)
            continue
        if found["step"] == step:
            tables.append(_table(found))
    pictures = [root / PICTURE_FOLDER / f"{split}_step={step:08d}.png" for split in ("test", "val", "train")]
    return RunOutputs(tables, [path for path in pictures if path.is_file()], unread)


def _read(file: Path) -> dict[str, Any]:
    """A report's JSON, every part that a card takes of the type that it must have.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError: it is none.
    """
    if file.stat().st_size > MOST_BYTES:
        raise ValueError("too large")
    found = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(found["complete"], bool) or not isinstance(found["step"], int | None):
        raise ValueError("of another kind")
    texts = [found["split"], found["distance"], *(row["class"] for row in found["classes"])]
    numbers = [found["num_samples"], *(value for value in found["summary"].values() if value is not None)]
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(each, int | float) for each in numbers):
        raise ValueError("of another kind")
    return found


def _table(found: dict[str, Any]) -> Table:
    names = {"fid": found["distance"], "kid": found["distance"].replace("fd_", "kd_").replace("fid", "kid")}
    shown = [names.get(column.name, column.name) for column in COLUMNS if column.format]
    headings = [name for name in shown if any(row.get(name) is not None for row in found["classes"])]
    rows = [[row.get(name) for name in headings] for row in found["classes"]]
    about = found["split"], found["distance"], found["num_samples"], found["complete"], found["summary"]
    return Table(*about, headings, rows)
