import torch

from lightning_nsd.data.transforms import apply_symmetries, flip_horizontally, symmetry_table, to_bytes, to_unit_range


def test_bytes_survive_the_way_to_floats_and_back() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    floats = to_unit_range(values)
    assert floats.dtype == torch.float32 and floats.min() == -1 and floats.max() == 1
    assert torch.equal(to_bytes(floats), values)


def test_to_bytes_rounds_and_clips() -> None:
    levels = torch.tensor([10.4, 10.6, -3.0, 300.0])
    assert to_bytes(levels / 127.5 - 1).tolist() == [10, 11, 0, 255]


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


def test_only_the_chosen_images_are_mirrored() -> None:
    images = torch.arange(2 * 2 * 1 * 2 * 3).reshape(2, 2, 1, 2, 3)
    flipped = flip_horizontally(images, torch.tensor([[True, False], [False, True]]))
    assert torch.equal(flipped[0, 0], images[0, 0].flip(-1)) and torch.equal(flipped[0, 1], images[0, 1])
    assert torch.equal(flipped[1, 0], images[1, 0]) and torch.equal(flipped[1, 1], images[1, 1].flip(-1))
