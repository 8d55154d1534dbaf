"""Opening files of a data set, which may be anything: a pipe waits for ever, a device never ends."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from lightning_nsd.errors import UserError

MAX_BYTES = 1 << 28
"""Of one image, encoded. As many pixels as are decoded at most fit uncompressed, in three channels."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading; never waits.

    Raises:
        UserError: a pipe, device, folder or link to nothing, or a file that cannot be opened.
    """
    try:
        stream = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 (the caller closes it)
    except OSError as error:
        what = "is no regular file" if path.is_symlink() else "cannot be read"
        raise UserError(f"{path} {what}: {error.strerror}. Remove it or put a whole file there.") from error
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise UserError(f"{path} is no regular file but a pipe, a device or the like. Remove it.")
    return stream


def read_regular(path: Path) -> bytes:
    """All bytes of a regular file.

    Raises:
        UserError: see `open_regular`; or more than `MAX_BYTES`.
    """
    with open_regular(path) as stream:
        check_size(str(path), os.fstat(stream.fileno()).st_size)
        try:
            return stream.read(MAX_BYTES)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error


def check_size(name: str, size: int) -> None:
    """Whether a file is small enough to be an image.

    Raises:
        UserError: it is not.
    """
    if size > MAX_BYTES:
        raise UserError(
            f"{name} has {size / 1e9:.1f} GB, more than the {MAX_BYTES / 1e9:.1f} GB that an image may have. Remove it."
        )


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
