"""Files that are either whole or not there."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def whole_file(path: Path) -> Iterator[IO[Any]]:
    """A binary file under a temporary name beside `path`, flushed to the disk and renamed at the end.

    Raises:
        OSError: the file cannot be written; an earlier file at `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, as UTF-8; names of files that are not UTF-8 keep their bytes.

    Raises:
        OSError: it cannot be written; an earlier file at `path` is as it was.
    """
    with whole_file(path) as file:
        file.write(text.encode("utf-8", errors="surrogateescape"))


def temporary_name(path: Path) -> Path:
    """Where this process writes what becomes `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def unfinished(folder: Path, names: str = "*") -> list[Path]:
    """Files of a folder whose writing was killed; nobody may be writing there now.

    Args:
        folder: where they lie.
        names: what they would have become, as a pattern.
    """
    return [path for path in folder.glob(f".{names}.*.tmp") if re.fullmatch(r".+\.\d+\.tmp", path.name)]
