"""The image files of a folder or a zip, grouped into classes by the folders that they lie in."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from lightning.pytorch.utilities import rank_zero_warn

from lightning_nsd.data.regular_file import check_size, open_regular, read_regular
from lightning_nsd.errors import UserError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".ppm"})


def is_image(name: str) -> bool:
    """Whether a file of this name is read; hidden ones are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


@dataclass(frozen=True)
class ImageTree:
    """Where the images of every class are; nothing is decoded.

    A class folder may be a link, and so may the folders above it and every image. Below a class folder links to
    folders are not followed: they would give a class the images of others, or never end.

    Attributes:
        source: a folder or a zip file, which is read without being unpacked.
        classes: class name (`a` or `a/b`, sorted) → file names relative to `source` (sorted).
    """

    source: Path
    classes: dict[str, tuple[str, ...]]

    @classmethod
    def of_folder(cls, folder: Path, depth: int, within: tuple[str, ...] = ()) -> "ImageTree":
        """The images below a folder; hidden files and folders are left out, further folders in a class are not.

        Args:
            depth: how many folders make a class name: 1 for `<class>/…`, 2 for `<alphabet>/<character>/…`.
            within: the only folders of the first level that count; empty for all.

        Raises:
            UserError: a folder that cannot be listed, classes that share a folder, or a class name that is not UTF-8.
        """
        names = _files_below(folder, depth, within)
        classes = _classes(((name, name) for name in names), depth, within)
        _check_apart(folder, classes)
        return cls(folder, classes)

    @classmethod
    def of_zip(cls, path: Path, depth: int, within: tuple[str, ...] = ()) -> "ImageTree":
        """The images of a zip whose last `depth` folders before a file make the class; outer folders do not matter.

        Names that lead out of the zip (`../…`, `/…`) are left out.

        Raises:
            UserError: no readable zip.
        """
        try:
            with open_regular(path) as stream, ZipFile(stream) as archive:
                members = dict.fromkeys(archive.namelist())
        except (OSError, ValueError, NotImplementedError, BadZipFile) as error:
            raise UserError(f"{path} is no complete zip file ({error}). Delete it and get it again.") from error
        parts = {member: member.split("/") for member in members}
        inside = [member for member in members if ".." not in parts[member] and parts[member][0]]
        inner = (("/".join(parts[member][-depth - 1 :]), member) for member in inside)
        return cls(path, _classes(inner, depth, within))

    @property
    def files(self) -> list[str]:
        """All files, class after class."""
        return [name for names in self.classes.values() for name in names]

    @contextmanager
    def open(self) -> Iterator[Callable[[str], bytes]]:
        """A function from file name to its bytes, which threads may share; it raises UserError for no regular file."""
        if self.source.is_dir():
            yield lambda name: read_regular(self.source / name)
        else:
            with open_regular(self.source) as stream, ZipFile(stream) as archive:
                yield lambda name: _read_member(archive, name, self.source / name)

    def fingerprint(self) -> str:
        """A hash of every byte that decoding would read, and of the names and classes.

        Times and sizes alone would miss an image replaced by another of the same size under the old date (as
        unzip and rsync set it). Reading and hashing 42,000 small PNGs takes a tenth of the time of decoding them.

        Raises:
            UserError: a file that cannot be read, or is no regular one.
        """
        digest = hashlib.blake2b(digest_size=16)
        if not self.source.is_dir():
            digest.update(repr(self.classes).encode("utf-8", "backslashreplace"))
            with open_regular(self.source) as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
            return digest.hexdigest()
        with self.open() as read:
            for class_name, names in self.classes.items():
                for name in names:
                    data = read(name)
                    digest.update(f"{class_name}\0{name}\0{len(data)}\0".encode("utf-8", "surrogateescape"))
                    digest.update(data)
        return digest.hexdigest()


def _files_below(folder: Path, depth: int, within: tuple[str, ...]) -> Iterator[str]:
    """Relative names with slashes; hidden folders are not entered, nor links below a class folder."""

    def unlisted(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be listed: {error.strerror}") from error

    top, real_top = os.fspath(folder), os.path.realpath(folder)
    left_out: list[str] = []
    for path, folders, files in os.walk(top, onerror=unlisted, followlinks=True):
        inner = path[len(top) :].replace(os.sep, "/").strip("/")  # "" for the folder itself
        level = inner.count("/") + 1 if inner else 0
        if level == depth and _contains(os.path.realpath(path), real_top):
            raise UserError(
                f"The class {inner} of {folder} is a link to the same folder as {folder} lies in, or to {folder} "
                "itself: it would hold the images of all classes. Remove the link."
            )
        entered = [name for name in folders if not name.startswith(".") and (level or not within or name in within)]
        links = [name for name in entered if level >= depth and os.path.islink(os.path.join(path, name))]
        left_out += [f"{inner}/{name}" for name in links]
        folders[:] = [name for name in entered if name not in links]
        yield from (f"{inner}/{name}" if inner else name for name in files)
    if left_out:
        rank_zero_warn(
            f"{folder}: links to folders inside of a class are not followed: {', '.join(left_out[:10])}"
            f"{f' and {len(left_out) - 10} more' if len(left_out) > 10 else ''}"
        )


def _contains(outer: str, inner: str) -> bool:
    return Path(inner).is_relative_to(outer)


def _check_apart(folder: Path, classes: Iterable[str]) -> None:
    """Whether no class folder is another's, or lies in another's: links can make it so.

    Raises:
        UserError: two classes share images; names both.
    """
    places = sorted((Path(os.path.realpath(folder / name)).parts, name) for name in classes)
    for (outer, one), (inner, other) in pairwise(places):  # what lies in a folder follows it
        if inner[: len(outer)] == outer:
            raise UserError(
                f"The classes {one} and {other} of {folder} lie in the same folder, {Path(*outer)}, so that they share "
                "images. Remove the link that makes it so."
            )


def _classes(names: Iterable[tuple[str, str]], depth: int, within: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Group pairs (name that tells the class, name to read by)."""
    classes: dict[str, list[str]] = {}
    for inner, name in sorted(names):
        parts = inner.split("/")
        if (
            len(parts) > depth
            and is_image(parts[-1])
            and not any(part.startswith(".") for part in parts)
            and (not within or parts[0] in within)
        ):
            classes.setdefault("/".join(parts[:depth]), []).append(name)
    for class_name in classes:
        _check_text(class_name)
    return {class_name: tuple(classes[class_name]) for class_name in sorted(classes)}


def _check_text(class_name: str) -> None:
    """Whether a class name can be written into tables.

    Raises:
        UserError: it is not UTF-8.
    """
    readable = os.fsencode(class_name).decode("utf-8", "backslashreplace")
    if readable != class_name:
        raise UserError(f"The name of the class folder {readable} is not UTF-8. Rename it.")


def _read_member(archive: ZipFile, name: str, path: Path) -> bytes:
    """The bytes of a file in a zip, which `path` names: no more than it declares, and that is checked first.

    Raises:
        UserError: a link, too many bytes, or a compression whose output cannot be bounded.
    """
    entry = archive.getinfo(name)
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise UserError(f"{path} is a link, and links in a zip are not followed. Pack the zip anew.")
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise UserError(f"{path} is compressed by another method than deflate. Pack the zip anew.")
    check_size(str(path), entry.file_size)
    with archive.open(entry) as stream:
        return stream.read(entry.file_size)
