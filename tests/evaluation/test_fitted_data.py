"""Classes of another data set in the size and the channels of a model."""

import pytest
import torch

from lightning_nsd.evaluation.fitted_data import FittedData
from tests.conftest import StripedData


@pytest.mark.parametrize(("own", "fitted"), [((12, 3), (8, 1)), ((8, 1), (12, 3)), ((8, 3), (8, 3))])
def test_images_are_fitted_and_classes_are_those_of_the_data_set(own, fitted):
    data = StripedData(*own, n_shot=2, seed=3, eval_seed=4)
    other = FittedData(data, *fitted)
    found, expected = other.image_set("test"), data.image_set("test")
    assert found.images.shape == (80, fitted[1], fitted[0], fitted[0]) and found.images.dtype == torch.uint8
    assert found.class_names == expected.class_names and torch.equal(found.counts, expected.counts)
    assert (other.n_shot, other.seed, other.eval_seed) == (2, 3, 4)
    means = [images.float().mean() for split in (found, expected) for images in map(split.of_class, range(8))]
    assert torch.stack(means[:8]).sub(torch.stack(means[8:])).abs().max() < 2
    assert torch.equal(found.images, expected.images) == (own == fitted)


def test_classes_that_are_too_small_are_left_out_as_of_the_data_set_itself():
    data = StripedData(12, 3, n_shot=9)
    data.load_split = lambda split: StripedData(12, 3).load_split(split).with_at_least(1, split)
    other = FittedData(data, 8, 1)
    assert len(other.image_set("val")) == 8 and not other.left_out["val"]
