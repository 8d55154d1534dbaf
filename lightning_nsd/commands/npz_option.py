"""`--npz`: all images that a command draws in one file more, which is not written over another."""

from pathlib import Path

from torch import Tensor

from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import check_place
from lightning_nsd.messages import reason
from lightning_nsd.pictures import write_npz


def check_npz_place(path: Path | None) -> None:
    """Whether the file can be written, before anything is drawn.

    Raises:
        UserError: another kind of file, one that is there already, or a place that cannot be written.
    """
    if path is None:
        return
    if path.suffix.lower() != ".npz":
        raise UserError(f"--npz is {path}; it must end in .npz.")
    check_place(path, "--npz")
    if path.exists():
        raise UserError(f"--npz: {path} is there already. Move it, or name another file.")


def write_npz_option(path: Path, images: Tensor, labels: Tensor) -> None:
    """Write the file; see `write_npz`.

    Raises:
        UserError: it cannot be written.
    """
    try:
        write_npz(path, images, labels)
    except OSError as error:
        raise UserError(f"--npz: {path} could not be written ({reason(error)}).") from error
