"""Orbax checkpoints as nested dictionaries of NumPy arrays."""

import logging
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_folder import whole_folder
from lightning_nsd.settings.numbers import cut

STORAGE = "OCDBT"
"""The database of Orbax's files; what it says of a file names it."""


@cache
def _orbax() -> Any:
    try:
        import orbax.checkpoint
    except ImportError as error:
        raise UserError("Orbax checkpoints need orbax: pip install 'lightning-nsd[jax]'.") from error
    # Its threads and tasks go on for a moment after a failure that was raised, and print dozens of tracebacks.
    previous = sys.unraisablehook

    def report(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            previous(unraisable)

    def is_news(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not ("never retrieved" in message and STORAGE in message)

    sys.unraisablehook = report
    logging.getLogger("asyncio").addFilter(is_news)
    return orbax.checkpoint


def is_orbax(path: Path) -> bool:
    """Whether a folder is one Orbax checkpoint, or holds one under `default`."""
    return path.is_dir() and any((folder / "_METADATA").exists() for folder in (path, path / "default"))


def read_orbax(path: Path) -> dict[str, Any]:
    """The tree of a checkpoint, without knowing its structure beforehand.

    Raises:
        UserError: no checkpoint, or one that is damaged.
    """
    if not is_orbax(path):
        raise UserError(f"{path} is no Orbax checkpoint: it has no _METADATA.")
    folder = path if (path / "_METADATA").exists() else path / "default"
    try:
        return dict(_orbax().PyTreeCheckpointer().restore(folder.absolute()))
    except UserError:
        raise
    except Exception as error:  # its storage raises what it likes on a damaged file
        raise UserError(f"{path} is damaged or no Orbax checkpoint of arrays: {error}") from error


def write_orbax(path: Path, tree: Mapping[str, Any]) -> None:
    """Write a tree of arrays whole, in the place of what was there; see `whole_folder`.

    Raises:
        UserError: it cannot be written.
    """
    log = logging.getLogger("absl")
    level = log.level
    try:
        log.setLevel(logging.CRITICAL + 1)  # its threads log a traceback of what is raised here anyway
        with whole_folder(path.absolute()) as unfinished:
            _orbax().PyTreeCheckpointer().save(unfinished, tree)
    except Exception as error:  # on a full disk its storage raises what it likes
        raise UserError(f"{path} could not be written: {cut(str(error).splitlines()[0], 200)}") from error
    finally:
        log.setLevel(level)


def flatten(tree: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """A nested dictionary as one level of paths joined by `/`.

    Raises:
        UserError: a leaf that is no array of numbers.
    """
    if isinstance(tree, Mapping):
        flat: dict[str, np.ndarray] = {}
        for key, branch in tree.items():
            flat.update(flatten(branch, f"{prefix}/{key}" if prefix else str(key)))
        return flat
    try:
        array = np.asarray(tree)
    except ValueError as error:
        raise UserError(f"{prefix[:200]} is no array of numbers.") from error
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise UserError(f"{prefix[:200]} is no array of numbers.")
    return {prefix: array}


def unflatten(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *branches, name = path.split("/")
        branch = tree
        for key in branches:
            branch = branch.setdefault(key, {})
        branch[name] = value
    return tree
