"""The shipped data set: large enough, small enough, split by script."""

from collections import defaultdict

import pytest
import torch

from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.data.glyphs import FOLDER, Glyphs, read_scripts
from lightning_nsd.errors import UserError


@pytest.fixture(scope="module")
def sets():
    data = Glyphs()
    return {split: data.image_set(split) for split in SPLITS}


def test_there_are_500_classes_of_24_fonts_in_five_megabytes(sets):
    assert sum(map(len, sets.values())) >= 500
    assert min(int(s.counts.min()) for s in sets.values()) >= 24
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 5_000_000


def test_the_held_out_scripts_are_georgian_and_hebrew(sets):
    scripts = {split: {name.split("/")[0] for name in s.class_names} for split, s in sets.items()}
    assert scripts["val"] == {"georgian"}
    assert scripts["test"] == {"hebrew"}
    assert len(scripts["train"]) == 9
    assert len(sets["val"]) + len(sets["test"]) == 60


def test_images_are_black_on_white_in_the_middle(sets):
    images = sets["train"].images
    assert images.shape[1:] == (1, 32, 32)
    assert images.amax() == 255
    assert (images.flatten(1).amin(dim=1) < 160).all()  # the thinnest strokes are grey
    assert (images[:, :, :2].min(), images[:, :, :, -2:].min()) == (255, 255)


def test_images_of_a_class_differ(sets):
    for s in sets.values():
        for i in range(0, len(s), 10):
            assert len(s.of_class(i).flatten(1).unique(dim=0)) == int(s.counts[i])


def classes_of_images(sets) -> list[set[tuple[str, str]]]:
    """For every image that stands in several classes: their splits and names."""
    found = defaultdict(set)
    for split, s in sets.items():
        for i, name in enumerate(s.class_names):
            for image in s.of_class(i):
                found[image.numpy().tobytes()].add((split, name))
    return [classes for classes in found.values() if len(classes) > 1]


@pytest.mark.parametrize(("size", "count"), [(32, 877), (16, 877), (8, 881)])
def test_no_image_stands_in_two_splits_and_as_many_as_documented_in_two_classes(size, count):
    data = Glyphs(image_size=size)
    shared = classes_of_images({split: data.image_set(split) for split in SPLITS})
    assert {split for classes in shared for split, _ in classes} == {"train"}
    assert len(shared) == count


def test_the_images_that_classes_share_are_documented(sets):
    text = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "877 images stand in more than one class" in text
    for scripts in {tuple(sorted({name.split("/")[0] for _, name in c})) for c in classes_of_images(sets)}:
        assert f"| {', '.join(scripts)} |" in text


@pytest.mark.parametrize(("val", "test"), [("armenian", "thai"), ("ethiopic", "arabic"), ("digits", "devanagari")])
def test_other_scripts_can_be_held_out(val, test):
    data = Glyphs(image_size=8, val_script=val, test_script=test)
    scripts = {split: {name.split("/")[0] for name in data.image_set(split).class_names} for split in SPLITS}
    assert (scripts["val"], scripts["test"]) == ({val}, {test})
    assert {"georgian", "hebrew", "latin"} <= scripts["train"]
    assert not {val, test} & scripts["train"]


@pytest.mark.parametrize("image_size", [16, 32])
def test_no_letter_of_a_held_out_script_is_trained_on_under_another_scripts_name(image_size):
    data = Glyphs(image_size=image_size, val_script="greek", test_script="hebrew")
    assert "latin/0041" in Glyphs(image_size=image_size).image_set("train").class_names
    assert "latin/0041" not in data.image_set("train").class_names  # the image of Alpha
    assert "latin/0051" in data.image_set("train").class_names
    shared = classes_of_images({split: data.image_set(split) for split in SPLITS})
    assert all(len({split for split, _ in classes}) == 1 for classes in shared)


@pytest.mark.parametrize(
    ("scripts", "sentence"),
    [
        ({"val_script": "runic"}, "data.val_script is 'runic'; it must be one of arabic, armenian"),
        ({"val_script": "thai", "test_script": "thai"}, "are both thai; name two scripts"),
    ],
)
def test_scripts_that_cannot_be_held_out_are_refused(scripts, sentence):
    with pytest.raises(UserError, match=sentence):
        Glyphs(**scripts)


def test_smaller_sizes_are_means_of_blocks():
    large, small = (read_scripts(("digits",), size)["digits/0038"].float() for size in (32, 8))
    means = torch.nn.functional.avg_pool2d(large, 4).round()
    assert torch.equal(small, means)


def test_other_sizes_are_refused():
    with pytest.raises(UserError, match="32, 16 or 8"):
        Glyphs(image_size=28)


def test_fonts_and_licences_are_recorded():
    text = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "fonts-dejavu-core" in text
    assert "OFL-1.1" in text
