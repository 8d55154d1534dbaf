"""What trackers know a run by: kept in the run's folder, so that a run that goes on does so in the same record."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_nsd.files.whole_file import write_text
from lightning_nsd.runs.folder import TRACKER_FILE

LONGEST = 256


def read_trackers(root: Path) -> dict[str, str]:
    """The names that a run's folder keeps, by tracker; none where there is no record, or one that is damaged."""
    try:
        return names_in(json.loads((root / TRACKER_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def record_trackers(root: Path, names: Mapping[str, str]) -> None:
    """Write the record, in one step.

    Raises:
        OSError: it cannot be written; the earlier one is as it was.
    """
    write_text(root / TRACKER_FILE, json.dumps(dict(names), indent=1) + "\n")


def names_in(content: Any) -> dict[str, str]:
    """Names by tracker, of what a file holds; what is no such thing is left out, for a name becomes part of paths."""
    pairs = content.items() if isinstance(content, dict) else ()
    return {str(tracker): name for tracker, name in pairs if isinstance(name, str) and _is_name(name)}


def _is_name(name: str) -> bool:
    return 0 < len(name) <= LONGEST and name.isprintable() and not set(name) & set("/\\*?[]:") and name.strip(".") != ""
