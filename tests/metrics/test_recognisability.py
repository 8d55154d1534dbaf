"""Whether images are read as their own class by the reader that knows the classes' means."""

import math

import pytest
import torch

from lightning_nsd.metrics.recognisability import recognisability

OTHERS = torch.tensor([[10.0, 0.0], [0.0, 10.0]])


def cloud(n, centre, seed=0, spread=1.0):
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return torch.tensor(centre) + spread * noise


def test_images_of_the_class_are_recognised_and_those_of_another_are_not():
    assert recognisability(cloud(50, [0.0, 0.0]), cloud(20, [0.0, 0.0], 1), OTHERS) == (1, 1)
    assert recognisability(cloud(50, [0.0, 0.0]), cloud(20, [10.0, 0.0], 1), OTHERS) == (0, 1)


def test_the_part_that_is_recognised_is_said():
    generated = torch.cat([cloud(30, [0.0, 0.0]), cloud(10, [0.0, 10.0])])
    assert recognisability(cloud(50, [0.0, 0.0]), generated, OTHERS)[0] == 0.75


def test_a_real_image_does_not_vote_for_itself():
    real = torch.tensor([[9.0, 0.0], [-9.0, 0.0]])  # their mean is (0, 0), nearer to each than (10, 1) is not
    assert recognisability(real, real, torch.tensor([[12.0, 0.0]])) == (0.5, 0.5)
    assert recognisability(real, real, torch.tensor([[20.0, 0.0]])) == (1.0, 0.5)


def test_an_image_between_two_classes_is_not_recognised():
    real = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert recognisability(real, torch.tensor([[5.0, 0.0], [5.0, 0.0]]), OTHERS)[0] == 0


def test_without_another_class_nothing_is_said():
    assert all(map(math.isnan, recognisability(cloud(5, [0.0, 0.0]), cloud(5, [0.0, 0.0]), torch.zeros(0, 2))))


def test_features_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="finite"):
        recognisability(cloud(5, [0.0, 0.0]), torch.full((5, 2), math.inf), OTHERS)
