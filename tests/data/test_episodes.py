import pytest
import torch

from lightning_nsd.data.episodes import EpisodeBatch, sample_classes, sample_episodes, sample_positions, spread_classes
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.errors import UserError
from lightning_nsd.rng import generator

COUNTS = [3, 7, 4]
SET = ImageSet.from_classes({str(n): torch.full((n, 1, 1, 1), n, dtype=torch.uint8) for n in COUNTS})


def test_images_of_an_episode_are_different_and_of_its_class() -> None:
    classes = torch.arange(300) % 3
    episodes = sample_episodes(SET, classes, 3, generator(0))
    assert episodes.shape == (300, 3)
    assert all(len(set(row)) == 3 for row in episodes.tolist())
    assert torch.equal(
        SET.images[episodes].flatten(1), torch.tensor(COUNTS, dtype=torch.uint8)[classes][:, None].expand(300, 3)
    )


def test_more_images_than_a_class_has_are_no_other_class_s() -> None:
    with pytest.raises(UserError, match="5 different images are asked for of a class that has 3"):
        sample_positions(torch.tensor([7, 3]), 5, generator(1))


def test_every_image_is_drawn_equally_often() -> None:
    drawn = sample_positions(torch.full((7000,), 7), 2, generator(1))
    for place in (0, 1):
        share = torch.bincount(drawn[:, place], minlength=7) / 1000
        assert (share - 1).abs().max() < 0.15  # five standard deviations


def test_classes_are_drawn_uniformly_whatever_their_size() -> None:
    share = torch.bincount(sample_classes(SET, 9000, generator(2)), minlength=3) / 3000
    assert (share - 1).abs().max() < 0.08


def test_evaluation_takes_each_class_before_any_comes_twice() -> None:
    classes = spread_classes(len(SET), 8, generator(3)).tolist()
    assert len(classes) == 8
    assert sorted(classes[:3]) == sorted(classes[3:6]) == [0, 1, 2] and len(set(classes[6:])) == 2


def test_the_mean_of_a_batch_is_that_of_the_episodes_that_count_however_processes_share_them() -> None:
    values = torch.tensor([1.0, 3.0, 5.0, 7.0, 100.0, 100.0])  # three episodes of two images; the last fills the batch
    mask = torch.tensor([1.0, 1.0, 0.0])
    images = torch.zeros(3, 2, 1, 1, 1)
    assert float(EpisodeBatch(images, mask, 0, 2).mean(values, 1)) == 4.0
    parts = [
        EpisodeBatch(images[i : i + 1], mask[i : i + 1], 0, 2).mean(values[2 * i : 2 * i + 2], 3) for i in range(3)
    ]
    assert float(torch.stack(parts).mean()) == 4.0
