"""Text files that list the images of a data set, two words a line."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from lightning_nsd.data.regular_file import read_regular
from lightning_nsd.errors import UserError

NUMBER = re.compile(r"[1-9][0-9]{0,8}")
"""How a list numbers classes."""


def read_pairs(path: Path) -> dict[str, str]:
    """First word → second word of every line, in the order of the file.

    Raises:
        UserError: the file is missing, no regular one or no text, a line has not two words, a first word comes twice,
            or there is no line at all.
    """
    try:
        lines = read_regular(path).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no text file ({error.reason}). Delete it and get it again.") from error
    pairs: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if len(words) != 2:
            raise UserError(
                f"{path}: line {number} holds {len(words)} words, not two. Delete the file and get it again."
            )
        if words[0] in pairs:
            raise UserError(f"{path}: line {number} names {words[0][:100]} again. Delete the file and get it again.")
        pairs[words[0]] = words[1]
    if not pairs:
        raise UserError(f"{path} is empty. Delete it and get it again.")
    return pairs


def check_listed(path: Path, listed: Collection[str], folder: Path, there: Collection[str]) -> None:
    """Whether a list and a folder (or archive) name the same images.

    Args:
        path: the list, named in errors.
        listed: what it names.
        folder: where the images are, named in errors.
        there: the images there.

    Raises:
        UserError: an image is missing, or is not in the list.
    """
    missing, unlisted = set(listed).difference(there), set(there).difference(listed)
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(listed)} images that {path} lists are not in {folder}, such as "
            f"{_first(missing)}. Unpack the images again."
        )
    if unlisted:
        raise UserError(
            f"{path} does not list {len(unlisted)} of the {len(there)} images in {folder}, such as {_first(unlisted)}: "
            "it is cut short or of another data set. Get it again."
        )


def _first(names: Iterable[str]) -> str:
    return min(names)[:100]
