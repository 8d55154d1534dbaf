"""A run's history: a line of JSON for every start and every end of `fit` in its folder."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lightning_nsd.files.lines import append
from lightning_nsd.runs.folder import LOG_FOLDER

HISTORY_FILE = "history.jsonl"
START, END = "start", "end"
MOST_BYTES = 20_000_000


def history_path(root: Path) -> Path:
    """Where the history of a run's folder lies."""
    return root / LOG_FOLDER / HISTORY_FILE


def note(root: Path, event: str, step: int, **more: Any) -> None:
    """Append a line: what happened, when (UTC), after how many optimiser steps, and plain values that belong to it.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    path = history_path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"event": event, "when": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "step": step, **more}
    cut = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")  # by a kill
    append(path, ("\n" if cut else "") + json.dumps(line, ensure_ascii=False) + "\n")


def read_history(root: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines that can be read, oldest first, and how many cannot; nothing of a folder without a history.

    Raises:
        OSError: there is a file, and it cannot be read.
    """
    path = history_path(root)
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        lines = file.read(MOST_BYTES).decode("utf-8", errors="replace").splitlines()
    found = list(_events(lines))
    return found, len([line for line in lines if line.strip()]) - len(found)


def _events(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and event.get("event") in (START, END) and isinstance(event.get("step"), int):
            yield event
