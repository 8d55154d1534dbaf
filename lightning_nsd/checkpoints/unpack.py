"""From a checkpoint's bytes to what they say, with every byte checked and nothing run."""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from lightning_nsd.errors import UserError


def unpack(path: Path) -> Any:
    """What `torch.save` wrote: tensors on the CPU, mapped from the file, and plain values.

    The checksum of every record is compared, so that one changed byte is found. torch compares none, and takes a
    tensor's size from the file without asking whether its record is that long; a mapped record cannot be left.

    Raises:
        UserError: the file is truncated or damaged, of another kind, or names something that would have to be run.
    """
    damaged = UserError(f"{path} is truncated, damaged or not a checkpoint.")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = {entry.filename for entry in entries}
            compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)  # torch never does
            if compressed or len(names) != len(entries) or archive.testzip() is not None:
                raise damaged
    except UserError:
        raise
    except Exception as error:  # on a damaged file zipfile raises what it likes
        raise damaged from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|class|instance of) ([\w.<>]+)", str(error).split("Unsupported")[-1])
        what = f" It names {named[1]}, which would have to be run." if named else ""
        raise UserError(
            f"{path} is not a checkpoint of this program: it holds more than tensors and plain values.{what}"
        ) from error
    except Exception as error:  # so does the unpickler
        raise damaged from error
