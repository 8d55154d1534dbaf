import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_nsd.data import cache
from lightning_nsd.data.cache import cached_images

IMAGES = torch.arange(36, dtype=torch.uint8).reshape(3, 3, 2, 2)
SHAPE = (3, 3, 2, 2)


class Decoder:
    """Gives the images and counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Tensor:
        self.calls += 1
        return IMAGES


def assert_same(ours: Tensor) -> None:
    assert ours.dtype == torch.uint8 and torch.equal(ours, IMAGES)


def only_cache(folder: Path) -> Path:
    (file,) = folder.glob(".lightning_nsd_cache_*")
    return file


def test_second_start_reads_the_cache(tmp_path: Path) -> None:
    decode = Decoder()
    assert_same(cached_images(tmp_path, "f", "2x2x3", SHAPE, decode))
    assert_same(cached_images(tmp_path, "f", "2x2x3", SHAPE, decode))
    assert decode.calls == 1


def test_cache_of_a_file_lies_beside_it(tmp_path: Path) -> None:
    source = tmp_path / "images.zip"
    source.touch()
    cached_images(source, "f", "2x2x3", SHAPE, Decoder())
    assert only_cache(tmp_path).name == ".lightning_nsd_cache_images.zip_2x2x3.npz"


def test_other_content_or_other_size_misses_the_cache(tmp_path: Path) -> None:
    decode = Decoder()
    for fingerprint, variant in (("f", "2x2x3"), ("g", "2x2x3"), ("g", "4x4x3")):
        cached_images(tmp_path, fingerprint, variant, SHAPE, decode)
    assert decode.calls == 3


def test_changed_content_replaces_the_old_cache_without_leaving_files(tmp_path: Path) -> None:
    cached_images(tmp_path, "f", "2x2x3", SHAPE, Decoder())
    cached_images(tmp_path, "g", "2x2x3", SHAPE, Decoder())
    decode = Decoder()
    cached_images(tmp_path, "g", "2x2x3", SHAPE, decode)
    assert decode.calls == 0
    assert [file.name for file in tmp_path.iterdir()] == [only_cache(tmp_path).name]


@pytest.mark.parametrize("damage", ["truncated", "emptied", "garbled", "flipped bit"])
def test_damaged_cache_is_rebuilt_with_a_warning(damage: str, tmp_path: Path) -> None:
    decode = Decoder()
    cached_images(tmp_path, "f", "2x2x3", SHAPE, decode)
    file = only_cache(tmp_path)
    content = file.read_bytes()
    pixel = content.index(IMAGES.numpy().tobytes())
    file.write_bytes(
        {
            "truncated": content[: len(content) // 2],
            "emptied": b"",
            "garbled": b"no archive",
            "flipped bit": content[:pixel] + b"\x01" + content[pixel + 1 :],
        }[damage]
    )
    with pytest.warns(UserWarning, match="damaged and is made anew"):
        assert_same(cached_images(tmp_path, "f", "2x2x3", SHAPE, decode))
    assert_same(cached_images(tmp_path, "f", "2x2x3", SHAPE, decode))
    assert decode.calls == 2


def test_cache_with_a_pickle_in_it_is_not_unpickled(tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "made"),)

    cached_images(tmp_path, "f", "2x2x3", SHAPE, Decoder())
    np.savez(only_cache(tmp_path), key=np.array([Runs()], dtype=object))
    with pytest.warns(UserWarning, match="damaged"):
        assert_same(cached_images(tmp_path, "f", "2x2x3", SHAPE, Decoder()))
    assert not (tmp_path / "made").exists()


def refuse_to_save_below(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    write = cache.write_arrays

    def refusing(file: Path, **arrays: np.ndarray) -> None:
        if file.parent in folders:
            raise PermissionError(f"read-only: {file}")
        write(file, **arrays)

    monkeypatch.setattr(cache, "write_arrays", refusing)


def test_unwritable_source_is_cached_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()
    refuse_to_save_below(monkeypatch, source)
    decode = Decoder()
    for _ in range(2):
        assert_same(cached_images(source, "f", "2x2x3", SHAPE, decode))
    assert decode.calls == 1
    assert len(list((tmp_path / "user_cache" / "lightning_nsd").iterdir())) == 1


def test_nowhere_to_write_gives_a_warning_and_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_to_save_below(monkeypatch, tmp_path, tmp_path / "user_cache" / "lightning_nsd")
    with pytest.warns(UserWarning, match="could not be cached"):
        assert_same(cached_images(tmp_path, "f", "2x2x3", SHAPE, Decoder()))


def test_what_a_killed_writer_left_an_hour_ago_is_removed(tmp_path: Path) -> None:
    old, new = (tmp_path / f".{cache._cache_files(tmp_path, '2x2x3')[0].name}.{number}.tmp" for number in (1, 2))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    cached_images(tmp_path, "f", "2x2x3", SHAPE, Decoder())
    assert not old.exists() and new.exists(), "another process may be writing the new one"


def test_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(stream: object, **_arrays: object) -> None:
        stream.write(b"half")  # type: ignore[attr-defined]
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    with pytest.warns(UserWarning, match="No space left"):
        cached_images(tmp_path, "f", "2x2x3", SHAPE, Decoder())
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
