"""Downloads whose failure tells what to do."""

from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from lightning_nsd.errors import UserError


def download_or_explain(download: Callable[[], None], folder: Path, missing: str) -> None:
    """Call `download`, which writes into `folder`.

    Raises:
        UserError: it failed; says why, and `missing`: what was looked for and how to get it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        download()
    except (OSError, HTTPException, RuntimeError) as error:  # torchvision raises RuntimeError for a wrong checksum
        raise UserError(f"{missing}\nThe download failed: {type(error).__name__}: {error}") from error
