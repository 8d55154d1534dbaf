"""Grids of any number of images."""

import numpy as np
import pytest
import torch

from lightning_nsd.pictures import GAP, RULE, grid, to_image


@pytest.mark.parametrize("number", [1, 2, 5, 17, 18])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_number_of_images_makes_a_picture(number, channels):
    picture = grid([torch.zeros(number, channels, 32, 32)])
    assert picture.size == (number * (32 + GAP) + GAP, 32 + 2 * GAP)
    assert picture.mode == ("L" if channels == 1 else "RGB")


def test_rows_may_differ_in_length_and_a_rule_parts_the_columns():
    rows = [torch.full((3, 1, 32, 32), 0.0), torch.full((2, 1, 32, 32), 0.0)]
    pixels = np.asarray(grid(rows, rule_after=1))
    assert pixels.shape == (2 * 33 + 1, 3 * 33 + 1 + RULE)
    assert (pixels[:, 34 : 34 + RULE - GAP] == 0).all()
    assert (pixels[34:-1, 70 + RULE : -1] == 255).all()  # where the second row has no image


def test_small_images_are_enlarged_by_a_whole_factor():
    assert grid([torch.zeros(1, 1, 8, 8)]).size == (4 * 10, 4 * 10)


def test_values_are_rounded_and_clipped():
    image = to_image(torch.tensor([[[-2.0, -1.0, 0.0, 0.999, 1.5]]]))
    assert np.asarray(image).tolist() == [[0, 0, 128, 255, 255]]
