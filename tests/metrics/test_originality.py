"""Understood or copied: distances to the examples, and among what was drawn, over those of real images."""

import math

import pytest
import torch

from lightning_nsd.metrics.originality import measure_originality

SETS, SHOTS, PER_SET, DIM = 3, 4, 5, 6
OWNER = torch.arange(SETS).repeat_interleave(PER_SET)


def features(n, seed):
    return torch.randn(n, DIM, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


REAL = features(200, 0)
SUPPORT = REAL[: SETS * SHOTS].unflatten(0, (SETS, SHOTS))


def test_images_like_the_real_ones_are_as_original_and_as_diverse():
    generated = features(SETS * 400, 1)
    found = measure_originality(generated, SUPPORT, torch.arange(SETS).repeat_interleave(400), REAL)
    assert found.originality == pytest.approx(1, abs=0.03)
    assert found.diversity == pytest.approx(1, abs=0.03)
    assert found.copies < 0.02


def test_copies_of_the_examples_have_no_originality():
    copies = SUPPORT[:, :1].expand(-1, PER_SET, -1).flatten(0, 1)
    found = measure_originality(copies, SUPPORT, OWNER, REAL)
    assert (found.originality, found.copies, found.diversity) == (0, 1, 0)


def test_copies_of_another_set_s_examples_are_original():
    of_next = SUPPORT.roll(1, dims=0)[:, :1].expand(-1, PER_SET, -1).flatten(0, 1)
    found = measure_originality(of_next, SUPPORT, OWNER, REAL)
    assert found.originality > 0.5
    assert found.copies == 0


def test_only_images_of_one_set_are_compared_with_each_other():
    one_of_each_set = features(SETS, 2).repeat_interleave(PER_SET, dim=0)
    assert measure_originality(one_of_each_set, SUPPORT, OWNER, REAL).diversity == 0


def test_half_of_the_images_being_copies_is_said():
    generated = features(SETS * PER_SET, 3) * 30
    half = torch.arange(len(generated)) % 2 == 0
    generated[half] = SUPPORT[OWNER[half], 0]
    assert measure_originality(generated, SUPPORT, OWNER, REAL).copies == float(half.double().mean())


def test_the_order_and_the_scale_do_not_matter():
    generated = features(SETS * PER_SET, 4)
    order = torch.randperm(len(generated), generator=torch.Generator().manual_seed(0))
    found = measure_originality(generated, SUPPORT, OWNER, REAL)
    shuffled = measure_originality(3 * generated[order], 3 * SUPPORT, OWNER[order], 3 * REAL.flip(0))
    assert shuffled == pytest.approx(found)


def test_real_images_that_stand_twice_are_no_copies_of_each_other():
    generated = features(SETS * PER_SET, 5)
    assert measure_originality(generated, SUPPORT, OWNER, torch.cat([REAL, REAL])) == pytest.approx(
        measure_originality(generated, SUPPORT, OWNER, REAL)
    )


def test_what_cannot_be_said_is_nan():
    alone = measure_originality(features(SETS, 6), SUPPORT, torch.arange(SETS), REAL)
    assert math.isnan(alone.diversity) and alone.originality > 0  # one image of each set
    same = measure_originality(features(15, 6), SUPPORT, OWNER, REAL[:1].expand(9, -1))
    assert math.isnan(same.diversity) and math.isnan(same.copies)
    only = measure_originality(features(PER_SET, 6), SUPPORT[:1], OWNER[:PER_SET], SUPPORT[0])
    assert math.isnan(only.originality) and only.diversity > 0  # every real image is an example


def test_features_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="finite"):
        measure_originality(torch.full((15, DIM), math.nan), SUPPORT, OWNER, REAL)
    with pytest.raises(ValueError, match="at least 2"):
        measure_originality(features(15, 1), SUPPORT, OWNER, REAL[:1])
