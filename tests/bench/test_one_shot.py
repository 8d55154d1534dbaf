"""The one-shot task: characters of one alphabet, no drawer twice, and a reader that one image is enough for."""

import argparse

import pytest
import torch
from torch import nn

from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.errors import UserError

SIZES = {"north": 25, "south": 3}
DRAWERS = 8
SIDE = 16


@pytest.fixture(scope="module")
def bench():
    import one_shot
    import one_shot_reader

    return argparse.Namespace(one_shot=one_shot, reader=one_shot_reader)


@pytest.fixture(scope="module")
def characters():
    """Every character is a pattern; a drawer's hand is a little noise, its own brightness tells the drawer."""
    rng, classes = torch.Generator().manual_seed(0), {}
    for alphabet, size in SIZES.items():
        for number in range(size):
            pattern = torch.randint(2, (1, 4, 4), generator=rng).repeat_interleave(4, 1).repeat_interleave(4, 2) * 200
            classes[f"{alphabet}/character{number:02d}"] = torch.stack([pattern + d for d in range(DRAWERS)]).byte()
    return ImageSet.from_classes(classes)


def test_a_task_is_of_one_alphabet_and_of_twenty_characters_at_most(bench, characters):
    found = list(bench.one_shot.tasks(characters, 4, 3, torch.Generator().manual_seed(0)))
    alphabets = [{characters.class_names[c].split("/")[0] for c in task.classes.tolist()} for task in found]
    assert alphabets == [{"north"}, {"south"}, {"north"}, {"south"}]
    assert [len(task.classes.unique()) for task in found] == [20, 3, 20, 3]


def test_no_drawer_comes_twice_in_a_task(bench, characters):
    for task in bench.one_shot.tasks(characters, 6, 5, torch.Generator().manual_seed(0)):
        assert len({task.prototype, task.query, *task.support}) == 7


def test_a_task_that_takes_more_drawers_than_there_are_is_refused(bench, characters):
    with pytest.raises(UserError, match=r"9 drawers, and a character has 8"):
        next(bench.one_shot.tasks(characters, 1, 7, torch.Generator()))


def test_images_by_a_drawer_are_that_drawers(bench, characters):
    images = bench.one_shot.by(characters, torch.tensor([0, 26]), [5, 2])
    assert images.shape == (2, 2, 1, SIDE, SIDE)
    brightness = ((images + 1) * 127.5).round().flatten(2).amin(dim=2)
    assert brightness.tolist() == [[5, 2], [5, 2]]


def test_what_is_read_right_is_counted(bench):
    prototypes = torch.randn(3, 1, 4, 4)
    right = prototypes[:, None].repeat(1, 2, 1, 1, 1)
    wrong = right.clone()
    wrong[0] = right[1]
    reader = nn.Flatten()
    assert bench.one_shot.read(reader, prototypes, right) == 1
    assert bench.one_shot.read(reader, prototypes, wrong) == pytest.approx(2 / 3)


def test_a_trained_reader_names_characters_that_it_was_not_trained_on(bench, characters):
    north = ImageSet.from_classes({n: characters.of_class(i) for i, n in enumerate(characters.class_names[:25])})
    reader = bench.reader.train_reader(north, 20, seed=0)
    classes = torch.tensor([25, 26, 27])
    prototypes = bench.one_shot.by(characters, classes, [0])[:, 0]
    assert bench.one_shot.read(reader, prototypes, bench.one_shot.by(characters, classes, [4, 5])) == 1
