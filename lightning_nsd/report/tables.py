"""The table of classes of one run, and of two runs joined by class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lightning_nsd.report.collect import Distances, is_number

NOT_SHOWN = (
    "images", "floor_n", "pixel_originality", "pixel_diversity", "bits_prior", "bits_decoder", "bits_context",
    "bits_images",
)  # fmt: skip
"""Columns of `per_class.csv` that a reader of the page can do without."""
TEXT = ("class", "reason")
MOST_ROWS = 1000


@dataclass
class Cell:
    """A cell as text, and what it is sorted by where that is a number."""

    text: str
    number: float | None = None


@dataclass
class Table:
    """Headings, and of every class its cells and its pictures, one of each run."""

    headings: list[str]
    rows: list[tuple[list[Cell], list[str]]]
    left_out: int = 0

    @property
    def has_pictures(self) -> bool:
        """Whether any class has one."""
        return any(picture for _, pictures in self.rows for picture in pictures)


def table_of(found: Distances) -> Table:
    """The classes of one run; columns without any value are left out."""
    names = list(dict.fromkeys(name for row in found.classes for name in row))
    filled = [name for name in names if any(row.get(name) not in (None, "") for row in found.classes)]
    shown = [name for name in filled if name not in NOT_SHOWN and name != "class"]
    rows = [
        ([cell(row.get(name)) for name in ("class", *shown)], [strip])
        for row, strip in zip(found.classes, found.strips, strict=True)
    ]
    return Table(["class", *shown], rows[:MOST_ROWS], max(0, len(rows) - MOST_ROWS))


def joined(first: Distances, second: Distances) -> Table:
    """The classes that either run has: of each column that both have the two values and their difference."""
    by_class = [dict(zip(_names(found), found.classes, strict=True)) for found in (first, second)]
    pictures = [dict(zip(_names(found), found.strips, strict=True)) for found in (first, second)]
    in_both = [name for name in _columns(first) if name in _columns(second)]
    headings = ["class", *(f"{name} {of}" for name in in_both for of in ("A", "B", "B − A"))]
    rows = []
    for name in dict.fromkeys([*by_class[0], *by_class[1]]):
        cells = [cell(name)]
        for column in in_both:
            a, b = (of.get(name, {}).get(column) for of in by_class)
            difference = b - a if is_number(a) and is_number(b) else None  # type: ignore[operator]
            cells += [cell(a), cell(b), cell(difference, sign=True)]
        rows.append((cells, [of.get(name, "") for of in pictures]))
    return Table(headings, rows[:MOST_ROWS], max(0, len(rows) - MOST_ROWS))


def cell(value: Any, sign: bool = False) -> Cell:
    """A value of a file as a cell; what is neither text nor a finite number is empty."""
    if is_number(value):
        text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
        return Cell(f"+{text}" if sign and value > 0 else text, float(value))
    return Cell(value if isinstance(value, str) else "")


def _names(found: Distances) -> Sequence[str]:
    return [str(row.get("class", "")) for row in found.classes]


def _columns(found: Distances) -> list[str]:
    of_numbers = {name for row in found.classes for name, value in row.items() if is_number(value)}
    names = dict.fromkeys(name for row in found.classes for name in row)
    without = (*NOT_SHOWN, *TEXT, "n")
    return [
        name for name in names if name in of_numbers and name not in without and not name.endswith(("_low", "_high"))
    ]
