import numpy as np
import pytest
import torch
from PIL import Image

from lightning_nsd.data.transforms import (
    apply_symmetries,
    fit_images,
    flip_horizontally,
    symmetry,
    symmetry_table,
    to_bytes,
    to_unit_range,
)


def test_bytes_survive_the_way_to_floats_and_back() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    floats = to_unit_range(values)
    assert floats.dtype == torch.float32 and floats.min() == -1 and floats.max() == 1
    assert torch.equal(to_bytes(floats), values)


def test_to_bytes_rounds_and_clips() -> None:
    levels = torch.tensor([10.4, 10.6, -3.0, 300.0])
    assert to_bytes(levels / 127.5 - 1).tolist() == [10, 11, 0, 255]


def test_colours_become_grey_as_pillow_does_it_and_grey_is_repeated() -> None:
    colours = torch.randint(256, (5, 3, 6, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    grey = fit_images(colours, 6, 1)
    for image, found in zip(colours, grey, strict=True):
        expected = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L"), np.int16)
        assert np.abs(found[0].numpy() - expected).max() <= 1
    assert torch.equal(fit_images(grey, 6, 3), grey.expand(-1, 3, -1, -1))
    assert torch.equal(fit_images(colours, 6, 3), colours)


def test_images_are_resized_and_averaged_where_they_become_smaller() -> None:
    stripes = torch.tensor([0, 255], dtype=torch.uint8).repeat(1, 1, 32, 16)  # (1, 1, 32, 32)
    assert (fit_images(stripes, 8, 1)[..., 2:-2].float() - 127.5).abs().max() < 10
    for size in (5, 48):
        assert torch.equal(fit_images(torch.full((2, 1, 16, 16), 77, dtype=torch.uint8), size, 3),
                           torch.full((2, 3, size, size), 77, dtype=torch.uint8))  # fmt: skip


def test_symmetries_are_eight_different_permutations_and_the_first_changes_nothing() -> None:
    table = symmetry_table(3)
    assert len({tuple(row.tolist()) for row in table}) == 8
    assert torch.equal(table.sort(dim=1).values, torch.arange(9).expand(8, 9))
    assert torch.equal(table[0], torch.arange(9))


def test_symmetries_keep_neighbours_next_to_one_another() -> None:
    for row in symmetry_table(4):
        turned = row.reshape(4, 4)
        steps = torch.stack([turned[0, 0] - turned[0, 1], turned[0, 0] - turned[1, 0]]).abs()
        assert sorted(steps.tolist()) == [1, 4]


def test_whole_episode_is_turned_the_same_way() -> None:
    images = torch.arange(3 * 2 * 2 * 9).reshape(3, 2, 2, 3, 3)  # (B, N, C, H, W)
    turned = apply_symmetries(images, torch.tensor([0, 1, 4]))
    assert torch.equal(turned[0], images[0])
    assert torch.equal(turned[1], images[1].rot90(1, (-2, -1)))
    assert torch.equal(turned[2], images[2].flip(-1))


@pytest.mark.parametrize("which", range(8))
def test_all_images_turned_alike_are_those_of_the_table(which: int) -> None:
    images = torch.arange(3 * 2 * 9, dtype=torch.uint8).reshape(3, 2, 3, 3)  # (M, C, H, W)
    assert torch.equal(symmetry(images, which), apply_symmetries(images[:, None], torch.full((3,), which))[:, 0])


def test_only_the_chosen_images_are_mirrored() -> None:
    images = torch.arange(2 * 2 * 1 * 2 * 3).reshape(2, 2, 1, 2, 3)
    flipped = flip_horizontally(images, torch.tensor([[True, False], [False, True]]))
    assert torch.equal(flipped[0, 0], images[0, 0].flip(-1)) and torch.equal(flipped[0, 1], images[0, 1])
    assert torch.equal(flipped[1, 0], images[1, 0]) and torch.equal(flipped[1, 1], images[1, 1].flip(-1))
