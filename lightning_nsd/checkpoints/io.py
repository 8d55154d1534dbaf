"""Reading and writing checkpoint files: atomically, and never running anything that a file holds."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities import move_data_to_device

from lightning_nsd.checkpoints.contents import check_contents
from lightning_nsd.checkpoints.hub_folder import read_hub_folder
from lightning_nsd.checkpoints.unpack import unpack
from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import whole_file


def write_atomically(checkpoint: dict[str, Any], path: Path) -> None:
    """Write to a temporary file beside `path`, flush it to the disk, and rename it.

    Raises:
        OSError: the file cannot be written; an earlier file at `path` is as it was.
    """
    with whole_file(path) as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:  # torch's writer fails once more while it closes the file
            raise error.__context__ if isinstance(error.__context__, OSError) else OSError(str(error)) from error


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint's content on the CPU, every byte and every part of it checked: tensors and plain values alone.

    Args:
        path: of a file, or of a model's folder (see `read_hub_folder`).

    Raises:
        UserError: the file is missing, truncated, damaged, not a checkpoint of a few-shot diffusion model, or holds
            something that would have to be run.
    """
    path = Path(path)
    if path.is_dir():
        return read_hub_folder(path)
    if not path.is_file():
        raise UserError(f"There is no checkpoint at {path}.")
    return check_contents(unpack(path), str(path))


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's way to and from checkpoint files, through the functions above."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """See `write_atomically`."""
        write_atomically(move_data_to_device(checkpoint, torch.device("cpu")), Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """See `read_checkpoint`; always on the CPU, and whole or not at all."""
        return read_checkpoint(path)
