"""Files that are either whole or not there."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from lightning_nsd.errors import UserError


@contextmanager
def whole_file(path: Path) -> Iterator[IO[Any]]:
    """A binary file under a temporary name beside `path`, flushed to the disk and renamed at the end.

    Raises:
        OSError: the file cannot be written; an earlier file at `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _renamed(path) as temporary, open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _renamed(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` for a file, which is renamed to it at the end, or removed."""
    temporary = temporary_name(path)
    try:
        yield temporary
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


def link_atomically(source: Path, path: Path) -> None:
    """Make `path` another name of the file `source`, in one step; a copy of it where there are no hard links.

    Raises:
        OSError: it cannot be written; an earlier file at `path` is as it was.
    """
    try:
        with _renamed(path) as temporary:
            temporary.unlink(missing_ok=True)  # of a process of the same number that was killed
            os.link(source, temporary)
    except OSError:
        with whole_file(path) as copy, source.open("rb") as original:
            shutil.copyfileobj(original, copy)


def check_place(path: Path, option: str) -> None:
    """Whether a file can be written at `path`, found by writing an empty one beside it. Nothing of it is left.

    Args:
        path: of the file.
        option: that named it, for the error.

    Raises:
        UserError: it cannot be written.
    """
    made: list[Path] = []
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        made = [folder for folder in path.parents if not folder.exists()]  # innermost first
        if not path.parents[len(made)].is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(path)
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise UserError(f"{option}: {path} cannot be written ({error.strerror}).") from error
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def temporary_name(path: Path) -> Path:
    """Where this process writes what becomes `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def unfinished(folder: Path, names: str = "*") -> list[Path]:
    """What a folder holds whose writing was killed; nobody may be writing there now.

    Args:
        folder: where it lies.
        names: what it would have become, as a pattern.
    """
    return [path for path in folder.glob(f".{names}.*.tmp") if re.fullmatch(r".+\.\d+\.tmp", path.name)]
