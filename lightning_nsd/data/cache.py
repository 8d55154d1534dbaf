"""Decoded images kept next to their source, so that only the first start decodes.

One file for every source, size and number of channels. It holds the fingerprint of what it was made from and is
rewritten when that changes, so that old ones do not pile up. Nothing about a cache ever ends a run.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

_FORMAT = 1  # raise it when decoding changes its pixels


def cached_classes(
    source: Path, fingerprint: str, variant: str, decode: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """What `decode` returns, from the cache if it was made of the same content.

    The cache lies in the source folder (beside a source file), or in the user's cache folder if that cannot be
    written.

    Args:
        source: folder or file that the images come from.
        fingerprint: hash of the content of `source`.
        variant: how it is decoded, such as `28x28x1`; part of the file's name.
        decode: gives class name → uint8 `(n, C, H, W)`.
    """
    key = f"{_FORMAT} {variant} {fingerprint}"
    files = _cache_files(source, variant)
    for file in files:
        if (classes := _load(file, key)) is not None:
            return classes
    classes = decode()
    failures = []
    for file in files:
        try:
            _save(file, key, classes)
            return classes
        except OSError as error:
            failures.append(str(error))
    rank_zero_warn(f"The images of {source} could not be cached, the next start decodes again: {'; '.join(failures)}")
    return classes


def _cache_files(source: Path, variant: str) -> tuple[Path, Path]:
    """Next to the source, and in the user's cache folder."""
    folder, name = (source, "") if source.is_dir() else (source.parent, f"{source.name}_")
    user_folder = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "lightning_nsd"
    place = hashlib.blake2b(os.fsencode(source.resolve()), digest_size=8).hexdigest()
    return folder / f".lightning_nsd_cache_{name}{variant}.npz", user_folder / f"{place}_{variant}.npz"


def _load(file: Path, key: str) -> dict[str, Tensor] | None:
    """The classes of a cache file; None where there is none or its content is another's."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            images, counts, names = stored["images"], stored["counts"], stored["names"]
        if images.dtype != np.uint8 or images.ndim != 4 or counts.sum() != len(images) or len(names) != len(counts):
            raise ValueError("its parts do not fit together")
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever is wrong with the cache, the images themselves are still there
        rank_zero_warn(f"{file} is damaged and is made anew ({type(error).__name__}: {error})")
        return None
    return dict(zip(names.tolist(), torch.from_numpy(images).split(counts.tolist()), strict=True))


def _save(file: Path, key: str, classes: Mapping[str, Tensor]) -> None:
    """Write under another name and rename, so that no reader ever sees half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{uuid.uuid4().hex}.tmp")
    try:
        with unfinished.open("xb") as stream:
            np.savez(
                stream,
                key=np.array(key),
                names=np.array(list(classes)),
                counts=np.array([len(images) for images in classes.values()], np.int64),
                images=torch.cat(list(classes.values())).numpy(),
            )
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
