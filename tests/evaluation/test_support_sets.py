"""Which images the sets consist of."""

import torch

from lightning_nsd.evaluation.populations import class_populations, mixture_population
from lightning_nsd.evaluation.support_sets import choose_support_sets
from tests.evaluation.conftest import make_image_set, make_settings

SIZES = {"a": 12, "b": 5, "c": 8}
N_SHOT = 3


def choose(names, seed=0):
    image_set = make_image_set(SIZES)
    populations = class_populations(image_set, {}, names, make_settings(), N_SHOT)
    return choose_support_sets(image_set, populations, N_SHOT, seed, "val")


def test_a_set_holds_different_images_of_its_class_and_there_are_enough_sets():
    sets = choose(["a", "b", "c"])
    assert sets.population.tolist() == [0] * 4 + [1] * 2 + [2] * 3  # ⌈n / 3⌉
    starts, counts = torch.tensor([0, 12, 17]), torch.tensor([12, 5, 8])
    positions = sets.images - starts[sets.population][:, None]
    assert bool(((positions >= 0) & (positions < counts[sets.population][:, None])).all())
    assert all(len(set(images)) == N_SHOT for images in sets.images.tolist())


def test_the_sets_of_a_class_depend_on_the_seed_and_the_class_alone():
    assert torch.equal(choose(["c"]).images, choose(["a", "b", "c"]).images[6:])
    assert not torch.equal(choose(["c"]).images, choose(["c"], seed=1).images)


def test_in_a_mixture_every_class_comes_before_any_comes_twice():
    image_set = make_image_set(SIZES)
    sets = choose_support_sets(image_set, [mixture_population(image_set, "mixture", 18)], N_SHOT, 0, "val")
    classes = torch.bucketize(sets.images, torch.tensor([12, 17]), right=True)
    assert bool((classes == classes[:, :1]).all())
    assert [sorted(classes[k : k + 3, 0].tolist()) for k in (0, 3)] == [[0, 1, 2]] * 2


def test_no_population_has_no_sets():
    sets = choose([])
    assert sets.population.shape == (0,) and sets.images.shape == (0, N_SHOT)
