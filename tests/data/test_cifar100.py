import hashlib
import pickle
import shutil
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from lightning_nsd.data import CIFAR100
from lightning_nsd.data.datamodule import SPLITS, Split
from lightning_nsd.data.splits import CIFAR100_SUPERCLASSES, fc100_split, mixed_split
from lightning_nsd.errors import UserError

CLASSES: dict[Split, list[str]] = {"train": ["apple", "bed"], "val": ["wolf"], "test": ["baby", "whale"]}  # under FC100
NAMES = sorted(name for names in CLASSES.values() for name in names)
ALL_NAMES = sorted(name for names in CIFAR100_SUPERCLASSES.values() for name in names)
TRAIN, TEST = 4, 2  # images of a class in the files of that name


def pixels(name: str, part: str) -> np.ndarray:
    """The images `(n, 32, 32, 3)` of one class in one part."""
    draw = np.random.default_rng([NAMES.index(name), part == "test"])
    return draw.integers(0, 256, (TRAIN if part == "train" else TEST, 32, 32, 3), dtype=np.uint8)


def write_png_folder(root: Path) -> Path:
    for part in ("train", "test"):
        for name in NAMES:
            (root / part / name).mkdir(parents=True)
            for i, image in enumerate(pixels(name, part)):
                Image.fromarray(image).save(root / part / name / f"{name}_{i:03}.png")
    return root


def write_jax_pickles(root: Path) -> Path:
    root.mkdir()
    for split, names in CLASSES.items():
        content = {name: np.concatenate([pixels(name, "test"), pixels(name, "train")]) for name in names}
        (root / f"{split}_cifar100.pkl").write_bytes(pickle.dumps(content))
    return root


def write_torchvision_files(root: Path) -> Path:
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        rows = np.concatenate([pixels(name, part).transpose(0, 3, 1, 2).reshape(-1, 3072) for name in NAMES])
        labels = np.repeat([ALL_NAMES.index(name) for name in NAMES], len(rows) // len(NAMES))
        order = np.argsort(np.arange(len(rows)) % 3, kind="stable")  # classes come mixed
        content = {"data": rows[order], "fine_labels": labels[order].tolist()}
        (folder / part).write_bytes(pickle.dumps(content, protocol=2))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": ALL_NAMES}, protocol=2))
    return root


FORMS: dict[str, Callable[[Path], Path]] = {
    "png folder": write_png_folder,
    "jax pickles": write_jax_pickles,
    "torchvision": write_torchvision_files,
}


def sorted_images(images: np.ndarray) -> np.ndarray:
    return images[np.lexsort(images.reshape(len(images), -1)[:, :8].T)]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_all_images_of_a_class_and_fc100s_split(form: str, tmp_path: Path) -> None:
    data = CIFAR100(str(FORMS[form](tmp_path / "data")), download=False)
    for split, names in CLASSES.items():
        image_set = data.load_split(split)
        assert [name for name, n in zip(image_set.class_names, image_set.counts, strict=True) if n] == names
        for name in names:
            expected = np.concatenate([pixels(name, "train"), pixels(name, "test")]).transpose(0, 3, 1, 2)
            ours = image_set.of_class(image_set.class_names.index(name)).numpy()
            np.testing.assert_array_equal(sorted_images(ours), sorted_images(expected), strict=True)


def test_split_of_the_original_files_is_fc100s(tmp_path: Path) -> None:
    data = CIFAR100(str(write_torchvision_files(tmp_path / "data")))
    assert {split: data.load_split(split).class_names for split in SPLITS} == fc100_split()


def test_jax_pickles_keep_their_own_split(tmp_path: Path) -> None:
    root = write_jax_pickles(tmp_path / "data")
    shutil.copy(root / "test_cifar100.pkl", root / "train_cifar100.pkl")
    assert CIFAR100(str(root)).load_split("train").class_names == ("baby", "whale")


def names_of(data: CIFAR100) -> dict[Split, list[str]]:
    """Split → its classes that have images."""
    return {
        split: [name for name, images in classes.items() if len(images)]
        for split, classes in data.read_splits().items()
    }


def test_mixed_classes_are_divided_alike_in_every_form(tmp_path: Path) -> None:
    division = mixed_split(seed=7)
    expected = {split: [name for name in NAMES if name in division[split]] for split in SPLITS}
    assert expected["train"] != CLASSES["train"] and all(expected.values())
    for form, write in FORMS.items():
        data = CIFAR100(str(write(tmp_path / form)), division="mixed", split_seed=7)
        assert names_of(data) == expected, form
        assert {len(x) for part in data.read_splits().values() for x in part.values() if len(x)} == {TRAIN + TEST}


def test_other_seeds_of_episodes_move_no_class(tmp_path: Path) -> None:
    root = str(write_png_folder(tmp_path / "data"))
    divided = [names_of(CIFAR100(root, division="mixed", seed=seed, eval_seed=seed)) for seed in (0, 1)]
    assert divided[0] == divided[1] == names_of(CIFAR100(root, division="mixed"))
    assert divided[0] != names_of(CIFAR100(root, division="mixed", split_seed=1)) != names_of(CIFAR100(root))


def test_a_mixed_class_in_two_pickles_has_the_images_of_both(tmp_path: Path) -> None:
    root = write_jax_pickles(tmp_path / "data")
    shutil.copy(root / "test_cifar100.pkl", root / "val_cifar100.pkl")
    splits = CIFAR100(str(root), division="mixed").read_splits()
    assert {name: len(x) for part in splits.values() for name, x in part.items()}["whale"] == 2 * (TRAIN + TEST)


def test_a_division_that_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match=r"data\.division is 'alphabetical'; it must be one of fc100, mixed"):
        CIFAR100(division="alphabetical")  # type: ignore[arg-type]


def test_zip_gives_what_its_folder_gives(tmp_path: Path, zip_folder) -> None:
    folder = write_png_folder(tmp_path / "cifar")
    path = zip_folder(folder, tmp_path / "cifar100_png.zip")
    for root in (path, path.parent):
        for split in SPLITS:
            ours, expected = CIFAR100(str(root)).load_split(split), CIFAR100(str(folder)).load_split(split)
            assert ours.class_names == expected.class_names and torch.equal(ours.images, expected.images)


def test_images_missing_from_a_class_do_not_matter(tmp_path: Path) -> None:
    root = write_png_folder(tmp_path / "data")
    shutil.rmtree(root / "test/wolf")
    (root / "train/wolf/wolf_001.png").unlink()
    assert CIFAR100(str(root)).load_split("val").counts.tolist() == [TRAIN - 1]


def test_split_without_any_class_is_named(tmp_path: Path) -> None:
    root = write_png_folder(tmp_path / "data")
    for part in ("train", "test"):
        shutil.rmtree(root / part / "wolf")
    with pytest.raises(UserError, match=r"val split of .*data holds no class.*train 2, test 2"):
        CIFAR100(str(root)).load_split("val")


def test_class_that_cifar100_does_not_have_is_named(tmp_path: Path) -> None:
    root = write_png_folder(tmp_path / "data")
    (root / "train/apple").rename(root / "train/zeppelin")
    with pytest.raises(UserError, match=r"zeppelin.*ClassFolder"):
        CIFAR100(str(root)).load_split("train")


def test_missing_jax_pickle_is_named(tmp_path: Path) -> None:
    root = write_jax_pickles(tmp_path / "data")
    (root / "val_cifar100.pkl").unlink()
    with pytest.raises(UserError, match=r"val_cifar100\.pkl"):
        CIFAR100(str(root)).load_split("train")


@pytest.mark.parametrize(
    "content", [[1], {"cat": [1]}, {"cat": np.zeros((2, 32, 32, 3))}, {"cat": np.zeros(3, np.uint8)}]
)
def test_jax_pickle_of_something_else_names_its_path(content: object, tmp_path: Path) -> None:
    root = write_jax_pickles(tmp_path / "data")
    (root / "test_cifar100.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match=r"test_cifar100\.pkl"):
        CIFAR100(str(root)).load_split("train")


@pytest.mark.parametrize("content", [[1], {"data": np.zeros((3, 3072), np.uint8)}, {"data": 1, "fine_labels": [1]}])
def test_torchvision_file_of_something_else_names_its_path(content: object, tmp_path: Path) -> None:
    root = write_torchvision_files(tmp_path / "data")
    (root / "cifar-100-python/test").write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match="cifar-100-python/test"):
        CIFAR100(str(root)).load_split("train")


# ---- download ----


def test_nothing_found_says_what_was_looked_for_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        CIFAR100(str(tmp_path), download=False).prepare_data()
    for part in (
        str(tmp_path),
        "train/<class>",
        "val_cifar100.pkl",
        "cifar-100-python",
        "data.download=true",
        "https://",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "error", [OSError("no route"), RuntimeError("File corrupted"), HTTPException("cut off")], ids=repr
)
def test_failed_download_says_why_and_what_else_to_do(error: Exception, tmp_path: Path, monkeypatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", fail)
    with pytest.raises(UserError, match=f"(?s)No CIFAR-100 in .*Ways to get it.*{error}"):
        CIFAR100(str(tmp_path / "new")).prepare_data()


def test_download_happens_once_and_only_if_nothing_is_there(tmp_path: Path, monkeypatch) -> None:
    calls: list[tuple[str, str]] = []

    def download(url: str, root: Path, md5: str) -> None:
        calls.append((url, md5))
        write_torchvision_files(root)

    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", download)
    for _ in range(2):
        CIFAR100(str(tmp_path / "new")).prepare_data()
    CIFAR100(str(write_png_folder(tmp_path / "png"))).prepare_data()
    assert [url.rsplit("/", 1)[1] for url, _ in calls] == ["cifar-100-python.tar.gz"] and len(calls[0][1]) == 32


def test_archive_that_is_there_is_unpacked_without_network(tmp_path: Path, monkeypatch) -> None:
    root = tmp_path / "data"
    write_torchvision_files(tmp_path / "made")
    archive = shutil.make_archive(str(root / "cifar-100-python"), "gztar", tmp_path / "made", "cifar-100-python")
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "tgz_md5", hashlib.md5(Path(archive).read_bytes()).hexdigest())
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", lambda *_: pytest.fail("went to the network"))
    data = CIFAR100(str(root), download=False)
    data.prepare_data()
    assert data.load_split("val").counts.max() == TRAIN + TEST
