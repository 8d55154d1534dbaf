"""Random numbers that depend on their key alone."""

import torch

from lightning_nsd.rng import generator, mix, philox, rows_of_rank


def test_keys_that_differ_anywhere_give_other_numbers():
    keys = [(0, 0), (0, 1), (1, 0), (0, 0, 0), (0,), (2**32,), (0, 1, 0)]
    assert len({mix(*key) for key in keys}) == len(keys)
    assert len({float(torch.rand((), generator=generator(*key))) for key in keys}) == len(keys)


def test_the_same_key_gives_the_same_numbers():
    assert torch.equal(torch.rand(5, generator=generator(3, 4)), torch.rand(5, generator=generator(3, 4)))
    assert (philox(3, 4).normal(size=5) == philox(3, 4).normal(size=5)).all()


def test_the_numbers_of_a_key_never_change():
    """They are part of every run's history."""
    assert mix(0, 1, 2) == 1038992925326737478
    assert philox(0, 1).integers(0, 1000, 3).tolist() == [662, 61, 625]


def test_ranks_share_a_batch_out():
    values = torch.arange(6)
    assert torch.equal(torch.cat([rows_of_rank(values, rank, 3) for rank in range(3)]), values)
