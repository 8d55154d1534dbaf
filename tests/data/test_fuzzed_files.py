"""Readers given files that are damaged at random: a sentence that names the file, or what it holds.

`NSD_FUZZ=1000` tries so many of each; the default is for every run of the tests.
"""

import io
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lightning_nsd.data import CIFAR100
from lightning_nsd.data.decoding import decode_classes
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.data.safe_pickle import read_pickle
from lightning_nsd.errors import UserError
from lightning_nsd.files.array_file import read_arrays, write_arrays
from tests.data.test_cifar100 import write_torchvision_files

SIZE = 8
fuzzed = settings(
    max_examples=int(os.environ.get("NSD_FUZZ", "60")),
    deadline=None,
    derandomize="NSD_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """The content with a few bytes changed, a part cut out or put in, or the end missing."""
    places = st.integers(0, len(content) - 1)
    flips = st.lists(st.tuples(places, st.integers(1, 255)), min_size=1, max_size=6)
    splices = st.tuples(places, places, st.binary(max_size=12))

    def flip(changes: list[tuple[int, int]]) -> bytes:
        changed = bytearray(content)
        for place, mask in changes:
            changed[place] ^= mask
        return bytes(changed)

    def splice(cut: tuple[int, int, bytes]) -> bytes:
        start, stop = sorted(cut[:2])
        return content[:start] + cut[2] + content[stop:]

    return st.one_of(
        flips.map(flip), splices.map(splice), places.map(lambda end: content[:end]), st.binary(max_size=200)
    )


def says_or_gives(path: Path, read: Callable[[], Any]) -> Any:
    """What `read` gives; None where it refuses, in a sentence that names the file."""
    try:
        return read()
    except UserError as error:
        message = str(error)
    assert str(path) in message and len(message) < 1500, message
    return None


# ---- images ----


def encoded(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


IMAGES = {kind: encoded(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "PPM")}


@pytest.mark.filterwarnings("ignore")  # Pillow's own about odd files
@pytest.mark.parametrize("kind", IMAGES)
def test_a_damaged_image_is_named_or_decoded(kind: str) -> None:
    @fuzzed
    @given(damaged(IMAGES[kind]))
    def check(content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a" / "1.png"
            path.parent.mkdir()
            path.write_bytes(content)
            tree = ImageTree.of_folder(Path(folder), depth=1)
            found = says_or_gives(path, lambda: decode_classes(tree, SIZE, 3, convert_colour=True))
            assert found is None or found["a"].shape == (1, 3, SIZE, SIZE)

    check()


# ---- zips ----


def zipped() -> bytes:
    stream = io.BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
        for name in ("a/1.png", "a/2.png", "b/3.png"):
            archive.writestr(name, IMAGES["PNG"])
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore")
@fuzzed
@given(damaged(zipped()))
def test_a_damaged_zip_is_named_or_read(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.zip"
        path.write_bytes(content)

        def read() -> dict[str, torch.Tensor]:
            tree = ImageTree.of_zip(path, depth=1)
            tree.fingerprint()
            return decode_classes(tree, SIZE, 3, convert_colour=True)

        found = says_or_gives(path, read)
        assert found is None or all(images.shape[1:] == (3, SIZE, SIZE) for images in found.values())
        assert [file.name for file in Path(folder).iterdir()] == ["images.zip"]


# ---- pickles ----

CONTENT = {"data": np.zeros((2, 3), np.uint8), "fine_labels": [1, 2], "names": ("a", b"b", {1.5, None})}
PICKLES = st.sampled_from([pickle.dumps(CONTENT, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)])
OPERATIONS = st.binary(min_size=1, max_size=60).map(lambda code: b"\x80\x04" + code + b".")


@fuzzed
@given(PICKLES.flatmap(damaged) | OPERATIONS)
def test_a_damaged_pickle_is_named_or_read(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train"
        path.write_bytes(content)
        says_or_gives(path, lambda: read_pickle(path))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
arrays = st.sampled_from([np.zeros((0, 3072), np.uint8), np.zeros((2, 3072)), np.array(3), np.array(["a", "b"])])
values = st.recursive(
    scalars | arrays,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
keys = st.sampled_from(["data", "fine_labels", "fine_label_names"]) | st.text(max_size=3)


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_torchvision_files(tmp_path_factory.mktemp("cifar"))


@fuzzed
@given(st.sampled_from(["meta", "train", "test"]), values | st.dictionaries(keys, values, max_size=4), st.data())
def test_a_pickle_of_something_else_is_named(cifar: Path, name: str, content: object, data: st.DataObject) -> None:
    path = cifar / "cifar-100-python" / name
    sound = path.read_bytes()
    if data.draw(st.booleans(), label="one entry alone is another's"):
        whole = pickle.loads(sound)
        content = whole | {data.draw(st.sampled_from(sorted(whole, key=str))): content}
    try:
        path.write_bytes(pickle.dumps(content))
        says_or_gives(path.parent, lambda: CIFAR100(str(cifar)).read_splits())
    finally:
        path.write_bytes(sound)


# ---- caches ----


@pytest.mark.filterwarnings("ignore:.*is damaged and is made anew")
@fuzzed
@given(st.data())
def test_a_damaged_cache_gives_what_it_held_or_nothing(data: st.DataObject) -> None:
    held = np.arange(24, dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.npz"
        write_arrays(path, key=np.array("key"), images=held)
        path.write_bytes(data.draw(damaged(path.read_bytes())))
        found = read_arrays(path, lambda stored: stored["images"] if str(stored["key"]) == "key" else None)
        assert found is None or np.array_equal(found, held)
