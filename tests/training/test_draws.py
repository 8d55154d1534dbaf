"""What a batch's loss draws: shapes, ranges, and the share of each process."""

import pytest
import torch

from lightning_nsd.random_source import NumPySource, TorchSource
from lightning_nsd.training.draws import Draws, draw, draw_timesteps

SOURCES = [TorchSource, NumPySource]


def drawn(source, episodes=2, dropout=0.25, context_shape=(5,), kind="normal", latents=True, **process) -> Draws:
    images = torch.zeros(episodes, 3, 1, 4, 6, dtype=torch.float64)
    return draw(images, 10, context_shape, dropout, source(images, 7, 8, **process), kind, latents)


@pytest.mark.parametrize("source", SOURCES)
def test_a_timestep_for_each_episode_and_noise_for_each_image(source):
    t, noise, context_noise, dropped, *_ = drawn(source, episodes=200)
    assert t.shape == (200,)
    assert t.dtype == torch.int64
    assert set(t.tolist()) == set(range(10))
    assert noise.shape == (600, 1, 4, 6)
    assert noise.dtype == torch.float64
    assert context_noise.shape == (600, 5)
    assert dropped.shape == (600,)
    for numbers in (noise, context_noise):
        assert abs(numbers.mean()) < 0.1
        assert numbers.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("source", SOURCES)
def test_logit_normal_timesteps_are_those_of_a_sigmoid_of_normal_numbers(source):
    t = draw_timesteps(1000, 20_000, source(torch.zeros(1), 5), "logit_normal")
    assert t.dtype == torch.int64 and t.min() >= 0 and t.max() < 1000
    share = [((low <= t) & (t < low + 250)).float().mean().item() for low in (0, 250, 500, 750)]
    assert share == pytest.approx([0.136, 0.364, 0.364, 0.136], abs=0.01)  # Φ(logit(0.25)) = 0.136


@pytest.mark.parametrize("source", SOURCES)
def test_a_discrete_contexts_noise_is_uniform(source):
    uniform = drawn(source, episodes=200, context_shape=(4, 5), kind="uniform").context_noise
    assert uniform.shape == (600, 4, 5)
    assert uniform.dtype == torch.float64
    assert 0 <= uniform.min() < 0.01
    assert 0.99 < uniform.max() < 1
    assert uniform.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("source", SOURCES)
def test_contexts_are_dropped_as_often_as_asked(source):
    assert drawn(source, episodes=1000, dropout=0.25).dropped.float().mean() == pytest.approx(0.25, abs=0.03)
    assert drawn(source, dropout=0.0).dropped is None
    assert drawn(source, dropout=1.0).dropped.all()


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_not_needed_is_not_drawn_and_shifts_nothing(source):
    with_all, without = drawn(source), drawn(source, dropout=0.0, context_shape=None, latents=False)
    assert with_all.latent_noise.shape == (2, 3, 1, 4, 6)
    assert without.latent_noise is None
    assert without.context_noise is None
    assert torch.equal(with_all.t, without.t)
    assert torch.equal(with_all.noise, without.noise)


@pytest.mark.parametrize("source", SOURCES)
def test_processes_share_what_one_would_draw(source):
    whole = drawn(source, episodes=4)
    halves = [drawn(source, episodes=2, rank=rank, world_size=2) for rank in range(2)]
    for name in ("t", "noise", "context_noise", "dropped", "latent_noise"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(half, name) for half in halves])), name
