"""Small data sets that the tests make for themselves."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

WriteImage = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def _own_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user_cache"))


@pytest.fixture
def write_image() -> WriteImage:
    """Writes an image of random pixels, grey or RGB, and returns the pixels `(H, W)` or `(H, W, 3)`."""

    def write(path: Path, seed: int = 0, size: int = 8, grey: bool = False) -> np.ndarray:
        shape = (size, size) if grey else (size, size, 3)
        pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return pixels

    return write


@pytest.fixture
def zip_folder() -> Callable[[Path, Path], Path]:
    """Packs a folder, with its own name at the head of every entry."""

    def pack(folder: Path, path: Path) -> Path:
        with ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
        return path

    return pack
