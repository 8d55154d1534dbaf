"""Folders that are either whole or not there."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_nsd.files.whole_file import temporary_name


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Where to make a folder, under another name; it is flushed to the disk and renamed to `path` at the end.

    A folder cannot be put in the place of another in one step. One that is there already is renamed first, so that a
    process that is killed in between leaves it where `find_folder` finds it.

    Raises:
        OSError: the folder cannot be written; an earlier one at `path` is as it was.
    """
    temporary, earlier = temporary_name(path), _earlier(path)
    shutil.rmtree(temporary, ignore_errors=True)  # of a process of the same number that was killed
    temporary.mkdir(parents=True)
    try:
        made = temporary / path.name
        yield made
        for file in made.rglob("*"):
            if file.is_file():
                _flush(file)
        if path.exists():
            if earlier.exists():
                earlier.rename(temporary / "older")
            path.rename(earlier)
        made.rename(path)
        if earlier.exists():
            earlier.rename(temporary / "earlier")
    except BaseException:
        if earlier.exists() and not path.exists():
            earlier.rename(path)
        _remove_for_good(temporary)
        raise
    shutil.rmtree(temporary, ignore_errors=True)


def find_folder(path: Path) -> Path:
    """The folder at `path`, or the one that a process was replacing when it was killed."""
    earlier = _earlier(path)
    return earlier if earlier.is_dir() and not path.exists() else path


def _earlier(path: Path) -> Path:
    return path.with_name(f".{path.name}.earlier")


def _remove_for_good(folder: Path) -> None:
    """Remove a folder in which threads of a writer that failed may go on making files for a moment."""
    gone = 0
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        gone = 0 if folder.exists() else gone + 1
        if gone == 10:
            return
        time.sleep(0.03)


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
