"""One `fit` at a time in a run's folder."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import write_text
from lightning_nsd.runs.folder import FOLDER_OPTION, check_writable, not_writable

LOCK_FILE = ".run/lock"
HOLDER_FILE = ".run/holder"
"""Who holds the lock; of no meaning while nobody does."""


@contextmanager
def locked(root: Path, option: str = FOLDER_OPTION) -> Iterator[None]:
    """Hold the folder's lock, which the operating system releases however this process ends.

    Args:
        root: the folder.
        option: of the command line that names another one, said in errors.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
    check_writable(root, option)
    lock = FileLock(root / LOCK_FILE)
    try:
        (root / LOCK_FILE).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
        write_text(root / HOLDER_FILE, f"process {os.getpid()} on {socket.gethostname()}")
    except Timeout as error:
        raise UserError(
            f"Another fit is writing to {root}: {_holder(root)}. Wait for its end or stop it, or name another folder "
            f"with {option}."
        ) from error
    except OSError as error:
        lock.release()
        raise not_writable(root, error, option) from error
    try:
        yield
    finally:
        lock.release()


def _holder(root: Path) -> str:
    try:
        return (root / HOLDER_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "a process that has not given its name"
