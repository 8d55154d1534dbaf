"""The hashes by which content is known: BLAKE2b of 16 bytes, as hexadecimal digits."""

import hashlib
from functools import partial
from pathlib import Path

_blake2b = partial(hashlib.blake2b, digest_size=16)


def hash_of(file: Path) -> str:
    """Of what a file holds."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, _blake2b).hexdigest()


def hash_of_text(text: str) -> str:
    """Of a text."""
    return _blake2b(text.encode()).hexdigest()
