"""Which classes are evaluated, and on how many images."""

import pytest
import torch

from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.populations import (
    Population,
    choose_classes,
    class_populations,
    mixture_population,
    real_images,
)
from tests.evaluation.conftest import make_image_set, make_settings

NAMES = ["a", "b", "c", "d"]


def test_classes_are_all_or_some_in_the_order_of_the_split_or_a_seeded_number():
    assert choose_classes(NAMES, None, 0, "val") == NAMES
    assert choose_classes(NAMES, ["d", "b"], 0, "val") == ["b", "d"]
    assert choose_classes(NAMES, ["d", "elsewhere"], 0, "val", lambda: ["elsewhere"]) == ["d"]
    assert choose_classes(NAMES, 2, 0, "val") == sorted(choose_classes(NAMES, 2, 0, "val"))
    assert len({tuple(choose_classes(NAMES, 2, seed, "val")) for seed in range(20)}) > 1
    assert choose_classes(NAMES, 100, 0, "val") == NAMES


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (0, "classes is 0"),
        (["nosuch"], r"no class nosuch\. The val split holds a, b, c, d"),
        (["elsewhere"], "None of the classes elsewhere is in the val split"),
    ],
)
def test_what_is_no_class_of_the_split_is_an_error(classes, message):
    with pytest.raises(UserError, match=message):
        choose_classes(NAMES, classes, 0, "val", lambda: ["elsewhere"])


def test_a_class_that_is_too_small_is_a_reason():
    found = class_populations(
        make_image_set({"a": 9, "b": 5}),
        {"c": 2, "d": 7},
        [*NAMES, "e"],
        make_settings(num_samples=8, min_samples=6),
        7,
    )
    assert found == [
        Population("a", 9, 8, classes=(0,)),
        Population("b", 5, 0, "5 images; a distance needs at least 6 (min_samples)"),
        Population("c", 2, 0, "2 images; a distance needs at least 6 (min_samples)"),
        Population("d", 7, 0, "7 images; an episode takes 7 and one more (data.n_shot + 1)"),
        Population("e", 0, 0, "the class has no images"),
    ]


def test_real_images_are_those_of_the_population_up_to_twice_as_many_as_are_compared():
    image_set = make_image_set({"a": 9, "b": 20})
    whole = mixture_population(image_set, "mixture_in", 100)
    assert (whole.available, whole.n, whole.classes) == (29, 29, (0, 1))
    a, b = class_populations(image_set, {}, ["a", "b"], make_settings(num_samples=8), 1)
    found = real_images(image_set, b, 0, "val")
    assert found.shape == (16, *image_set.images.shape[1:])
    rows = [next(i for i, image in enumerate(image_set.images) if torch.equal(image, one)) for one in found]
    assert len(set(rows)) == 16 and min(rows) >= 9 and rows != sorted(rows)
    assert len(real_images(image_set, a, 0, "val")) == 9
    assert torch.equal(found, real_images(image_set, b, 0, "val"))
    assert not torch.equal(found, real_images(image_set, b, 1, "val"))
