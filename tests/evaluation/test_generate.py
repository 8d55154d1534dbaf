"""Images in full batches across classes."""

import torch

from lightning_nsd.evaluation.failure import Failures
from lightning_nsd.evaluation.generate import ImageGenerator
from lightning_nsd.evaluation.populations import class_populations
from lightning_nsd.evaluation.support_sets import choose_support_sets
from lightning_nsd.processes.group import Processes
from tests.evaluation.conftest import CHANNELS, N_SHOT, SIZE, make_image_set, make_module, make_settings, watch_sampling


def generate(sizes, batch_size=8):
    """The images of every population, and the sizes of the batches."""
    module, image_set = make_module(), make_image_set(sizes)
    populations = class_populations(image_set, {}, list(sizes), make_settings(), N_SHOT)
    sets = choose_support_sets(image_set, populations, N_SHOT, 0, "val")
    generator = ImageGenerator(module, None, batch_size, 0, Failures(strict=True))
    batches = watch_sampling(module)
    rounds = generator.generate(image_set, populations, sets, "val", Processes())
    return [images for completed in rounds for images in completed], batches


def test_as_many_images_as_real_ones_in_full_batches_across_classes():
    """Classes of 12, 5 and 8 images make 25 support sets of one: four batches of eight."""
    generated, batches = generate({"a": 12, "b": 5, "c": 8})
    assert batches == [(8, N_SHOT)] * 4
    assert [each.population for each in generated] == [0, 1, 2]
    assert [each.images.shape for each in generated] == [(n, CHANNELS, SIZE, SIZE) for n in (12, 5, 8)]
    assert {each.images.dtype for each in generated} == {torch.uint8}
    assert not any(each.error for each in generated)


def test_a_batch_is_no_larger_than_all_sets_together():
    _, batches = generate({"a": 5}, batch_size=100)
    assert batches == [(5, N_SHOT)]


def test_nothing_is_sampled_for_classes_that_are_too_small():
    assert generate({"a": 1}) == ([], [])
