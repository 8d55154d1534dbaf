"""Hostile data: what lies among the images, how folders are named and linked, zips, and caches that lie."""

import io
import os
import random
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_nsd.commands.sample import read_support
from lightning_nsd.data import CIFAR100, ClassFolder, Omniglot
from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.data.decoding import decode_classes
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.errors import UserError
from tests.hostile.answer import LONGEST, PYTHON_TALK, Answer, assert_refused

Ask = Callable[..., Answer]

SIZE = 8
CLASSES = tuple(f"class{i}" for i in range(6))


def png(seed: int = 0, grey: bool = False) -> bytes:
    shape = (SIZE, SIZE) if grey else (SIZE, SIZE, 3)
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """A sound header and a few pixels: what it claims costs time and memory, what it holds does not."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fill(root: Path, *classes: str, images: int = 3, grey: bool = False) -> Path:
    for i, name in enumerate(classes):
        for j in range(images):
            write(root / name / f"{j}.png", png(images * i + j, grey))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six classes of three images."""
    return fill(tmp_path / "data", *CLASSES)


def read(root: Path, **options: object) -> dict[str, tuple[str, ...]]:
    """Split → its class names, as training would read them."""
    options = {"image_size": SIZE, "n_shot": 1} | options
    data = ClassFolder(str(root), **options)  # type: ignore[arg-type]
    return {split: data.image_set(split).class_names for split in SPLITS}


# ---- one bad file among the images ----


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


def postscript(path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "EPS")
    path.write_bytes(stream.getvalue())


BAD_FILES: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "pipe": (os.mkfifo, ("no regular file",)),
    "link to an endless device": (lambda path: path.symlink_to("/dev/zero"), ("no regular file",)),
    "link to a terminal": (lambda path: path.symlink_to("/dev/tty"), ("no regular file",)),
    "link to nothing": (lambda path: path.symlink_to("nowhere.png"), ("no regular file",)),
    "link to itself": (lambda path: path.symlink_to(path.name), ("no regular file",)),
    "a terabyte": (sparse, ("1099.5 GB",)),
    "144 million pixels": (lambda path: path.write_bytes(png_that_claims(12_000, 12_000)), ("12000 × 12000",)),
    "a pixel too many": (lambda path: path.write_bytes(png_that_claims(2**26 + 1, 1)), ("67108865 × 1",)),
    "more pixels than numbers": (lambda path: path.write_bytes(png_that_claims(2**31 - 1, 2**31 - 1)), ("pixels",)),
    "half a file": (lambda path: path.write_bytes(png()[:100]), ()),
    "nothing": (lambda path: path.touch(), ()),
    "text": (lambda path: path.write_text("no image\n" * 1000), ()),
    "PostScript, which is a program": (postscript, ()),
    "noise": (lambda path: path.write_bytes(random.Random(0).randbytes(5000)), ()),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_file_among_the_images_is_named(what: str, root: Path) -> None:
    make, words = BAD_FILES[what]
    make(root / "class3" / "bad.png")
    with pytest.raises(UserError, match=r"class3/bad\.png") as caught:
        read(root)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("what", ["pipe", "144 million pixels", "half a file"])
@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_commands_name_the_bad_file(what: str, command: str, root: Path, answer: Ask) -> None:
    BAD_FILES[what][0](root / "class0" / "!.png")  # the first of all, whose size `evaluate` goes by
    arguments = {
        "fit": ("--config=glyphs.yaml", "--data=ClassFolder", f"--data.root={root}", "--data.channels=3"),
        "evaluate": ("--extractor=glyphnet", f"--real-dir={root}", f"--generated-dir={root}"),
    }[command]
    assert_refused(answer(command, *arguments), "class0/!.png")


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_file_among_the_support_pictures_is_named(what: str, tmp_path: Path) -> None:
    make, words = BAD_FILES[what]
    make(write(tmp_path / "0.png", png()).with_name("bad.png"))
    with pytest.raises(UserError, match=r"bad\.png") as caught:
        read_support(tmp_path, SIZE, 3)
    assert all(word in str(caught.value) for word in words), caught.value


# ---- links ----


def linked(root: Path, link: str, to: str) -> Path:
    (root / link).parent.mkdir(parents=True, exist_ok=True)
    (root / link).symlink_to(to)
    return root


LINKS_INSIDE_A_CLASS = {
    "the folder of all classes": "..",
    "the class itself": ".",
    "another class": "../class1",
    "a folder elsewhere": "../../elsewhere",
    "the root of the disk": "/",
}


@pytest.mark.parametrize("target", LINKS_INSIDE_A_CLASS)
def test_a_link_to_a_folder_is_not_followed_out_of_a_class(target: str, root: Path) -> None:
    fill(root.parent / "elsewhere", "deep")
    before = ImageTree.of_folder(root, depth=1).classes
    linked(root, "class0/more", LINKS_INSIDE_A_CLASS[target])
    with pytest.warns(UserWarning, match=r"not followed: class0/more"):
        assert ImageTree.of_folder(root, depth=1).classes == before


def test_folders_of_a_class_and_linked_files_and_linked_classes_are_read(root: Path) -> None:
    fill(root / "class0", "further", images=1)
    fill(root.parent, "elsewhere")
    linked(root, "class1/linked.png", "../../elsewhere/0.png")
    linked(root, "class6", "../elsewhere")
    classes = ImageTree.of_folder(root, depth=1).classes
    assert "class0/further/0.png" in classes["class0"]
    assert "class1/linked.png" in classes["class1"]
    assert len(classes["class6"]) == 3
    read(root)


OVERLAPPING = {
    "a class of all classes": ("all", "."),
    "a class twice": ("again", "class1"),
    "a class in another": ("inner", "class2/further"),
}


@pytest.mark.parametrize("what", OVERLAPPING)
def test_classes_that_share_a_folder_are_refused_by_name(what: str, root: Path) -> None:
    fill(root / "class2", "further")
    link, target = OVERLAPPING[what]
    with pytest.raises(UserError, match=rf"(?s){link}.*same folder|same folder.*{link}"):
        read(linked(root, link, target))


def test_a_loop_above_the_classes_ends(tmp_path: Path) -> None:
    root = linked(fill(tmp_path / "images_background", "greek/alpha", "latin/a", grey=True), "greek/loop", "..")
    with pytest.raises(UserError, match="same folder"):
        Omniglot(str(root), n_shot=1).image_set("train")


# ---- layouts ----


def divided(root: Path, *names: str) -> Path:
    for i, name in enumerate(names):
        for j in range(2):
            fill(root / name, f"{name}_{j}", images=2 + i)
    return root


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("train", "valid", "test"),
        ("Train", "Validation", "Test"),
        ("training", "validation", "testing"),
        ("TRAIN", "VAL", "TEST"),
    ],
)
def test_a_layout_by_split_is_recognised(names: tuple[str, ...], tmp_path: Path) -> None:
    root = divided(tmp_path, *names)
    assert read(root) == {split: (f"{name}_0", f"{name}_1") for split, name in zip(SPLITS, names, strict=True)}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("train", "test"), ("train", "test", "val")),
        (("train", "valid"), ("train", "valid", "test")),
        (("Training",), ("Training", "val", "test")),
        (("train", "val", "valid", "test"), ("val", "valid")),
        (("train", "Train", "val", "test"), ("train", "Train")),
        (("train", "test", "other"), ("train", "test", "val")),
    ],
)
def test_a_layout_by_split_that_is_not_whole_is_refused(
    names: tuple[str, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        read(divided(tmp_path, *names))
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_stray_picture_beside_the_class_folders_of_a_split_does_not_matter(tmp_path: Path) -> None:
    root = divided(tmp_path, "train", "val", "test")
    write(root / "train" / "preview.png", png())
    assert read(root)["train"] == ("train_0", "train_1")


@pytest.mark.parametrize("names", [("train", "val", "test"), ("train", "test")])
def test_evaluate_takes_no_splits_for_classes(names: tuple[str, ...], tmp_path: Path, answer: Ask) -> None:
    root = divided(tmp_path, *names)
    found = answer("evaluate", "--extractor=glyphnet", f"--real-dir={root}", f"--generated-dir={root}")
    assert_refused(found, "train")


def test_a_folder_beside_the_splits_is_left_out_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"extra.*left out"):
        assert read(divided(tmp_path, "train", "val", "test", "extra"))["val"] == ("val_0", "val_1")


def test_split_folders_without_class_folders_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="class folder"):
        read(fill(tmp_path, "train", "val", "test"))


def test_a_class_may_be_called_train_among_others(root: Path) -> None:
    fill(root, "train", "test")
    assert {"train", "test"} <= {name for names in read(root).values() for name in names}


def test_a_class_name_that_is_not_utf8_is_refused(root: Path, answer: Ask) -> None:
    os.mkdir(os.fsencode(root) + b"/caf\xe9")
    (root / "class0" / "0.png").rename(os.fsdecode(os.fsencode(root) + b"/caf\xe9/0.png"))
    found = answer("fit", "--config=glyphs.yaml", "--data=ClassFolder", f"--data.root={root}", "--data.channels=3")
    assert_refused(found, r"caf\xe9", "UTF-8")


@pytest.mark.parametrize("data", [CIFAR100, ClassFolder, Omniglot])
def test_a_negative_split_seed_is_refused(data: type, tmp_path: Path) -> None:
    root = fill(tmp_path / "images_background", *(f"{name}/a" for name in CLASSES), grey=True)
    with pytest.raises(UserError, match=r"data\.split_seed is -1"):
        data(str(root), split_seed=-1, **({"channels": 1} if data is ClassFolder else {})).prepare_data()


def test_images_too_large_for_the_memory_are_said(root: Path) -> None:
    with pytest.raises(UserError, match=r"18 images.*TB.*image_size"):
        decode_classes(ImageTree.of_folder(root, depth=1), image_size=1_000_000, channels=3)


# ---- zips ----


def zip_of(path: Path, entries: dict[str, bytes]) -> ZipFile:
    archive = ZipFile(path, "w")
    for name, content in entries.items():
        archive.writestr(name, content)
    return archive


def lying(path: Path) -> None:
    """Claims a terabyte for its last entry, which is a few bytes."""
    with zip_of(path, {"greek/alpha/1.png": png(0, grey=True), "greek/beta/bad.png": png(1, grey=True)}) as archive:
        archive.infolist()[-1].file_size = 1 << 40


def with_a_link(path: Path) -> None:
    with zip_of(path, {"greek/alpha/1.png": png(0, grey=True)}) as archive:
        entry = ZipInfo("greek/beta/bad.png")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")


def with_a_bomb(path: Path) -> None:
    zip_of(
        path, {"greek/alpha/1.png": png(0, grey=True), "greek/beta/bad.png": png_that_claims(12_000, 12_000)}
    ).close()


def damaged(path: Path) -> None:
    zip_of(path, {"greek/alpha/1.png": png(1, grey=True), "greek/beta/bad.png": png(2, grey=True)}).close()
    content = path.read_bytes()
    at = content.rindex(png(2, grey=True)) + 60
    path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])


BAD_ZIPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a terabyte": (lying, r"beta/bad\.png"),
    "a link": (with_a_link, r"beta/bad\.png"),
    "144 million pixels": (with_a_bomb, r"beta/bad\.png.*12000 × 12000"),
    "a flipped bit": (damaged, r"beta/bad\.png"),
    "half": (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "complete zip"),
    "a pipe": (os.mkfifo, "no regular file|No Omniglot"),
}


@pytest.mark.parametrize("what", BAD_ZIPS)
def test_a_bad_zip_is_named(what: str, tmp_path: Path) -> None:
    make, words = BAD_ZIPS[what]
    path = tmp_path / "images_background.zip"
    make(path)
    with pytest.raises(UserError, match=rf"(?s){words}"):
        Omniglot(str(tmp_path), download=False).prepare_data()


def test_names_that_lead_out_of_a_zip_are_no_images(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    zip_of(path, {"../../b/a/1.png": png(), "/etc/a/2.png": png(), "c/../a/3.png": png(), "c/a/4.png": png()}).close()
    before = sorted(tmp_path.parent.rglob("*"))
    tree = ImageTree.of_zip(path, depth=1)
    assert tree.classes == {"a": ("c/a/4.png",)}
    tree.fingerprint()
    assert sorted(tmp_path.parent.rglob("*")) == before


# ---- pickles and caches ----


def test_a_pipe_in_place_of_a_pickle_is_refused(tmp_path: Path) -> None:
    for split in SPLITS:
        os.mkfifo(tmp_path / f"{split}_cifar100.pkl") if split == "val" else write(
            tmp_path / f"{split}_cifar100.pkl", b"\x80\x04}."
        )
    with pytest.raises(UserError, match=r"val_cifar100\.pkl.*no regular file"):
        CIFAR100(str(tmp_path), download=False).prepare_data()


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01%sU\x00tb"
DTYPE = b"cnumpy\ndtype\n%s\x85R\x89"
BAD_PICKLES = {
    "a memo of gigabytes": b"Nr\xff\xff\xff\x1f",
    "a key whose hash overflows the stack": b"}N" + 200_000 * b"\x85" + b"Ns",
    "a key whose hash takes a year": b"}N" + 60 * b"2\x86" + b"Ns",
    "keys whose hash takes a year": b"}(N" + 60 * b"2\x86" + b"Nu",
    "a dict of such a key": b"(N" + 60 * b"2\x86" + b"Nd",
    "a set of such a member": b"c__builtin__\nset\n]N" + 60 * b"2\x86" + b"a\x85R",
    "an ordered dict of such a key": b"ccollections\nOrderedDict\n]N" + 60 * b"2\x86" + b"N\x86a\x85R",
    "a terabyte of zeros": b"c__builtin__\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R",
    "attributes of our own function": b"c_codecs\nencode\nN}U\x0c__defaults__)s\x86b",
    "a shape whose text takes a year": ARRAY % (b"N" + 60 * b"2\x86" + DTYPE % b"U\x02u1"),
    "a dtype whose text takes a year": ARRAY % (b"K\x00\x85" + DTYPE % (b"N" + 60 * b"2\x86")),
    "a command": b"cos\nsystem\nU\x04true\x85R",
    "a name without end": b"c" + 100_000 * b"x" + b"\nx\n",
}


@pytest.mark.parametrize("what", BAD_PICKLES)
def test_a_pickle_that_would_crash_or_never_end_is_refused(what: str, tmp_path: Path) -> None:
    write(tmp_path / "train_cifar100.pkl", b"\x80\x02" + BAD_PICKLES[what] + b".")
    with pytest.raises(UserError, match=r"train_cifar100\.pkl") as caught:
        CIFAR100(str(tmp_path), download=False).prepare_data()
    assert len(str(caught.value)) < LONGEST and not PYTHON_TALK.search(str(caught.value))


def forged(file: Path, **changed: object) -> None:
    with np.load(file) as stored:
        parts = dict(stored)
    np.savez(file, **(parts | changed))  # type: ignore[arg-type]


def replaced(file: Path, make: Callable[[Path], object]) -> None:
    file.unlink()
    make(file)


LIES: dict[str, Callable[[Path], None]] = {
    "counts that cancel out": lambda file: forged(file, counts=np.array([20, -2, 0, 0, 0, 0])),
    "counts of other classes": lambda file: forged(file, counts=np.array([18]), names=np.array(["other"])),
    "counts that are no numbers": lambda file: forged(file, counts=np.array(["3"] * 6)),
    "other images": lambda file: forged(file, images=np.zeros((18, 1, 4, 4), np.uint8)),
    "too few images": lambda file: forged(file, images=np.zeros((1, 3, SIZE, SIZE), np.uint8)),
    "floats": lambda file: forged(file, images=np.zeros((18, 3, SIZE, SIZE), np.float32)),
    "no images": lambda file: forged(file, images=np.zeros(0)),
    "a key of several": lambda file: forged(file, key=np.zeros(3)),
    "a pipe": lambda file: replaced(file, os.mkfifo),
    "a link to an endless device": lambda file: replaced(file, lambda path: path.symlink_to("/dev/zero")),
    "a folder": lambda file: replaced(file, os.mkdir),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.filterwarnings("ignore:.*is damaged and is made anew")
@pytest.mark.filterwarnings("ignore:.*could not be cached")
def test_a_cache_that_lies_changes_nothing(lie: str, root: Path) -> None:
    def images() -> list[torch.Tensor]:
        data = ClassFolder(str(root), image_size=SIZE, n_shot=1)
        return [data.image_set(split).images for split in SPLITS]

    first = images()
    (file,) = root.glob(".lightning_nsd_cache_*")
    LIES[lie](file)
    assert all(map(torch.equal, images(), first))
