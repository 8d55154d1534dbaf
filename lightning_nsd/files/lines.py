"""Files that grow by lines, each of which is whole."""

import errno
import os
from pathlib import Path


def append(path: Path, text: str) -> None:
    """Append lines in one piece, and hand them to the system at once.

    Raises:
        OSError: they cannot be written; the file is as it was.
    """
    data = text.encode("utf-8", errors="surrogateescape")
    with open(path, "ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            if file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            file.truncate(size)
            raise
