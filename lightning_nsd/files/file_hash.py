"""The hash by which a file's content is known."""

import hashlib
from pathlib import Path


def hash_of(file: Path) -> str:
    """BLAKE2b of 16 bytes of what a file holds, as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
