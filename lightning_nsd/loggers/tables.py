"""Tables for trackers that have none of their own: as text, and the pictures in them as one."""

import base64
import html
import io
from typing import Any

from PIL import Image


def without_pictures(columns: list[str], data: list[list[Any]]) -> tuple[list[str], list[list[Any]]]:
    """The columns that hold no picture."""
    kept = [i for i in range(len(columns)) if not any(isinstance(row[i], Image.Image) for row in data)]
    return [columns[i] for i in kept], [[row[i] for i in kept] for row in data]


def stacked(data: list[list[Any]]) -> Image.Image | None:
    """All pictures of a table under each other, in the order of its rows; None where there are none."""
    pictures = [cell for row in data for cell in row if isinstance(cell, Image.Image)]
    if not pictures:
        return None
    size = max(picture.width for picture in pictures), sum(picture.height for picture in pictures)
    canvas, y = Image.new("RGB", size, "white"), 0
    for picture in pictures:
        canvas.paste(picture, (0, y))
        y += picture.height
    return canvas


def as_markdown(columns: list[str], data: list[list[Any]]) -> str:
    """A table as text."""
    lines = [columns, ["---"] * len(columns), *data]
    return "\n".join(f"| {' | '.join(_text(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def as_html(columns: list[str], data: list[list[Any]]) -> str:
    """A table as a page of its own, pictures included."""
    head, *rows = (
        "".join(f"<{tag}>{_html(cell)}</{tag}>" for cell in line)
        for tag, line in (("th", columns), *(("td", row) for row in data))
    )
    body = "".join(f"<tr>{row}</tr>\n" for row in rows)
    return f'<!doctype html><meta charset="utf-8"><table border="1">\n<tr>{head}</tr>\n{body}</table>\n'


def _html(cell: Any) -> str:
    if not isinstance(cell, Image.Image):
        return html.escape(_text(cell))
    file = io.BytesIO()
    cell.save(file, format="png")
    return f'<img src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'


def _text(cell: Any) -> str:
    """Shown in one line."""
    return "" if cell is None else " ".join((f"{cell:.5g}" if isinstance(cell, float) else str(cell)).split())
