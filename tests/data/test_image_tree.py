import os
from pathlib import Path

import pytest

from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.errors import UserError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def test_classes_and_files_are_sorted_and_everything_else_is_ignored(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.PNG", "b/10.jpeg", "a/x/deep.webp", "a/notes.txt", "a/.hidden.png", ".git/c/1.png", "top.png")
    assert ImageTree.of_folder(tmp_path, depth=1).classes == {"a": ("a/x/deep.webp",), "b": ("b/10.jpeg", "b/2.PNG")}


def test_only_the_named_folders_of_the_first_level_count(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.png", "other/a/1.png")
    assert list(ImageTree.of_folder(tmp_path, depth=2, within=("train", "test")).classes) == ["train/a"]


def test_zip_reads_as_its_folder_does(tmp_path: Path, zip_folder) -> None:
    folder = touch(tmp_path / "images", "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/a/._1.png")
    unpacked = ImageTree.of_folder(folder, depth=2)
    zipped = ImageTree.of_zip(zip_folder(folder, tmp_path / "images.zip"), depth=2)
    assert list(zipped.classes) == list(unpacked.classes) == ["test/a", "train/a", "train/b"]
    with zipped.open() as from_zip, unpacked.open() as from_folder:
        assert [from_zip(name) for name in zipped.files] == [from_folder(name) for name in unpacked.files]


def test_broken_zip_names_its_path(tmp_path: Path) -> None:
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(UserError, match=r"half\.zip"):
        ImageTree.of_zip(tmp_path / "half.zip", depth=1)


def replace_keeping_size_and_date(folder: Path) -> None:
    file = folder / "a/1.png"
    dates = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_bytes(file.read_bytes()[::-1])
    os.utime(file, ns=dates)


CHANGES = {
    "replaced by one of the same size and date": replace_keeping_size_and_date,
    "added": lambda folder: touch(folder, "a/3.png"),
    "removed": lambda folder: (folder / "a/2.png").unlink(),
    "renamed": lambda folder: (folder / "a/2.png").rename(folder / "a/4.png"),
    "moved to another class": lambda folder: (folder / "a/2.png").rename(folder / "b/2.png"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_image_that_changes_changes_the_fingerprint(change: str, tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "a/2.png", "b/1.png")
    before = ImageTree.of_folder(tmp_path, depth=1).fingerprint()
    assert ImageTree.of_folder(tmp_path, depth=1).fingerprint() == before
    CHANGES[change](tmp_path)
    assert ImageTree.of_folder(tmp_path, depth=1).fingerprint() != before


def test_file_that_is_no_image_does_not_change_the_fingerprint(tmp_path: Path) -> None:
    before = ImageTree.of_folder(touch(tmp_path, "a/1.png"), depth=1).fingerprint()
    touch(tmp_path, ".lightning_nsd_cache_8x8x3.npz", "a/readme.txt")
    assert ImageTree.of_folder(tmp_path, depth=1).fingerprint() == before


def test_zip_that_changes_changes_the_fingerprint(tmp_path: Path, zip_folder) -> None:
    folder = touch(tmp_path / "images", "a/1.png", "a/2.png")
    fingerprints = []
    for _ in range(2):
        fingerprints.append(ImageTree.of_zip(zip_folder(folder, tmp_path / "i.zip"), depth=1).fingerprint())
        replace_keeping_size_and_date(folder)
    assert fingerprints[0] != fingerprints[1]
