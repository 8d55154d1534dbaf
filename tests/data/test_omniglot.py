from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_nsd.data import Omniglot, omniglot
from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.errors import UserError


@pytest.fixture
def write_part(write_image):
    """Writes the characters of some alphabets, two characters each, in the layout of the official files."""

    def write(folder: Path, alphabets: str, drawers: int = 3) -> Path:
        for alphabet in alphabets:
            for character in (1, 2):
                for drawer in range(drawers):
                    path = folder / alphabet / f"character{character:02}" / f"{character:04}_{drawer:02}.png"
                    write_image(path, seed=100 * ord(alphabet) + 10 * character + drawer, size=12, grey=True)
        return folder

    return write


def alphabets(data: Omniglot) -> dict[str, list[str]]:
    return {split: sorted({name.split("/")[0] for name in data.load_split(split).class_names}) for split in SPLITS}


def test_class_is_a_character_and_holds_its_drawers(tmp_path: Path, write_part) -> None:
    write_part(tmp_path / "images_background", "ABCD")
    data = Omniglot(str(tmp_path), image_size=12)
    sets = [data.load_split(split) for split in SPLITS]
    names = sorted(name for image_set in sets for name in image_set.class_names)
    assert names == sorted(f"{a}/character{c:02}" for a in "ABCD" for c in (1, 2))
    assert {n for image_set in sets for n in image_set.counts.tolist()} == {3}
    assert sets[0].images.shape[1:] == (1, 12, 12)


def test_strokes_are_black_on_white(tmp_path: Path) -> None:
    from PIL import Image

    for alphabet in "ABC":
        folder = tmp_path / "images_background" / alphabet / "character01"
        folder.mkdir(parents=True)
        image = Image.new("1", (105, 105), 1)
        image.paste(0, (0, 0, 105, 52))
        image.save(folder / "0001_01.png")
    images = Omniglot(str(tmp_path)).load_split("train").images
    assert images.shape == (1, 1, 28, 28)
    assert images[0, 0, 2].max() == 0 and images[0, 0, -2].min() == 255


def test_alphabets_are_divided_without_overlap(tmp_path: Path, write_part) -> None:
    write_part(tmp_path / "images_background", "ABCDEFGHIJ")
    split = alphabets(Omniglot(str(tmp_path), image_size=12, val_fraction=0.2, test_fraction=0.3))
    assert [len(split[name]) for name in SPLITS] == [5, 2, 3]
    assert sorted(split["train"] + split["val"] + split["test"]) == list("ABCDEFGHIJ")


def test_official_evaluation_alphabets_are_the_test(tmp_path: Path, write_part) -> None:
    write_part(tmp_path / "images_background", "ABCDEF")
    write_part(tmp_path / "images_evaluation", "XYZ")
    split = alphabets(Omniglot(str(tmp_path), image_size=12))
    assert split["test"] == ["X", "Y", "Z"]
    assert sorted(split["train"] + split["val"]) == list("ABCDEF") and len(split["val"]) == 1


@pytest.mark.parametrize("prefix", ["", "omniglot_"])
def test_zips_give_what_their_folders_give(prefix: str, tmp_path: Path, write_part, zip_folder) -> None:
    for part, names in (("images_background_small1", "ABC"), ("images_background_small2", "CDE")):
        folder = write_part(tmp_path / "folders" / part, names)
        (tmp_path / "zips").mkdir(exist_ok=True)
        zip_folder(folder, tmp_path / "zips" / f"{prefix}{part}.zip")
    zipped, unpacked = (Omniglot(str(tmp_path / kind), image_size=12) for kind in ("zips", "folders"))
    for split in SPLITS:
        ours, expected = zipped.load_split(split), unpacked.load_split(split)
        assert ours.class_names == expected.class_names and torch.equal(ours.images, expected.images)
    assert not [path for path in (tmp_path / "zips").iterdir() if path.is_dir()], "something was unpacked"


def test_character_in_both_small_parts_counts_once(tmp_path: Path, write_part) -> None:
    write_part(tmp_path / "images_background_small1", "ABC")
    write_part(tmp_path / "images_background_small2", "CDE")
    data = Omniglot(str(tmp_path), image_size=12)
    counts = np.concatenate([data.load_split(split).counts for split in SPLITS])
    assert len(counts) == 10 and set(counts) == {3}


def test_small_parts_do_not_double_the_whole(tmp_path: Path, write_part, zip_folder) -> None:
    whole = write_part(tmp_path / "images_background", "ABCDE")
    zip_folder(whole, tmp_path / "images_background.zip")
    write_part(tmp_path / "images_background_small1", "AB", drawers=1)
    assert omniglot.find_parts(tmp_path) == {"images_background": whole}


def test_root_may_be_one_part_or_torchvisions_folder(tmp_path: Path, write_part) -> None:
    part = write_part(tmp_path / "omniglot-py" / "images_background", "ABC")
    expected = alphabets(Omniglot(str(part), image_size=12))
    assert alphabets(Omniglot(str(tmp_path), image_size=12)) == expected
    assert alphabets(Omniglot(str(part.parent), image_size=12)) == expected


def test_too_few_alphabets_leave_nothing_to_train_on(tmp_path: Path, write_part) -> None:
    write_part(tmp_path / "images_background", "AB")
    with pytest.raises(UserError, match="train split holds no class: of 2"):
        Omniglot(str(tmp_path)).load_split("train")


def test_empty_part_names_its_path(tmp_path: Path) -> None:
    (tmp_path / "images_background").mkdir()
    with pytest.raises(UserError, match="images_background: no images"):
        Omniglot(str(tmp_path)).load_split("train")


# ---- download ----


def test_nothing_found_says_what_was_looked_for_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Omniglot(str(tmp_path / "none"), download=False).prepare_data()
    for part in (str(tmp_path), "images_evaluation", "data.download=true", "https://"):
        assert part in str(caught.value)


def test_download_fetches_both_parts_and_shows_neither_before_both_are_whole(
    tmp_path: Path, write_part, zip_folder, monkeypatch
) -> None:
    made = {
        "images_background.zip": zip_folder(write_part(tmp_path / "images_background", "ABCD"), tmp_path / "b.zip"),
        "images_evaluation.zip": zip_folder(write_part(tmp_path / "images_evaluation", "XY"), tmp_path / "e.zip"),
    }
    online = {"images_background.zip"}
    root = tmp_path / "root"

    def download(url: str, folder: Path, filename: str, md5: str) -> None:
        name = url.rsplit("/", 1)[1]
        if name not in online:
            raise OSError("connection lost")
        (folder / filename).write_bytes(made[name].read_bytes())

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    with pytest.raises(UserError, match=r"(?s)No Omniglot.*connection lost"):
        Omniglot(str(root)).prepare_data()
    assert not omniglot.find_parts(root)
    online.add("images_evaluation.zip")
    data = Omniglot(str(root))
    data.prepare_data()
    assert alphabets(data)["test"] == ["X", "Y"]
