"""Samplers step by step against diffusers' schedulers, on the same inputs."""

import warnings
from typing import get_args

import numpy as np
import pytest
import torch

from lightning_nsd.checkpoints.settings import describe
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM, DDPM, DPMSolverPP
from lightning_nsd.diffusion.schedule import make_betas
from lightning_nsd.diffusion.spacing import Spacing
from lightning_nsd.errors import UserError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

T = 100
PREDICTIONS = {"eps": "epsilon", "x_0": "sample", "v": "v_prediction"}
SUBSET = [0, 7, 20, 55, 80, 98]


def network(x, t):
    """Any function of x and t will do; this one keeps x_0 within and beyond the clipping range."""
    return torch.sin(3 * x) + 0.01 * t[:, None, None, None]


def ours(sampler, diffusion, x_T, noise):
    return list(sampler.trajectory(diffusion, network, x_T, lambda k: noise[k]))


def settings(diffusion):
    return {
        "num_train_timesteps": T,
        "trained_betas": make_betas(diffusion.schedule, T),
        "prediction_type": PREDICTIONS[diffusion.prediction],
    }


def in_float64(scheduler, betas):
    """diffusers keeps its tables in float32; with these its steps are exact."""
    scheduler.alphas_cumprod = torch.from_numpy(np.cumprod(1 - betas))
    scheduler.betas = torch.from_numpy(betas)
    scheduler.alphas = 1 - scheduler.betas
    scheduler.one = torch.tensor(1.0, dtype=torch.float64)
    scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    return scheduler


@pytest.fixture
def draws(randn):
    return randn(2, 3, 4, 4), randn(T, 2, 3, 4, 4, seed=1)


every_prediction = pytest.mark.parametrize("prediction", PREDICTIONS)
every_schedule = pytest.mark.parametrize("schedule", ["linear", "cosine"])
every_spacing = pytest.mark.parametrize("spacing", get_args(Spacing))
every_chain = pytest.mark.parametrize("chain", [list(range(T)), SUBSET], ids=["all", "subset"])


@every_prediction
@every_schedule
@every_chain
@pytest.mark.parametrize("variance", ["fixed_large", "fixed_small"])
def test_ddpm_is_diffusers_ddpm(prediction, schedule, chain, variance, draws, monkeypatch):
    diffusion, (x, noise) = GaussianDiffusion(T, schedule, prediction, variance), draws
    reference = DDPMScheduler(**settings(diffusion), clip_sample=True, variance_type=variance)
    reference = in_float64(reference, make_betas(schedule, T))
    reference.set_timesteps(timesteps=chain[::-1])
    for k, mine in enumerate(ours(DDPM(timesteps=chain), diffusion, x, noise)):
        t = chain[::-1][k]
        monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *_, k=k, **__: noise[k])
        x = reference.step(network(x, torch.full((2,), t)), t, x).prev_sample
        torch.testing.assert_close(mine, x, rtol=1e-9, atol=1e-9)


@every_prediction
@every_schedule
@pytest.mark.parametrize("stride", [1, 10, 25])
@pytest.mark.parametrize("first", ["leading", "trailing"])
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_ddim_is_diffusers_ddim(prediction, schedule, stride, first, eta, draws):
    diffusion, (x, noise) = GaussianDiffusion(T, schedule, prediction), draws
    chain = list(range(0 if first == "leading" else stride - 1, T, stride))
    reference = DDIMScheduler(**settings(diffusion), clip_sample=True, set_alpha_to_one=True)
    reference = in_float64(reference, make_betas(schedule, T))
    reference.set_timesteps(T // stride)
    for k, mine in enumerate(ours(DDIM(timesteps=chain, eta=eta), diffusion, x, noise)):
        t = chain[::-1][k]
        # the source's eps follows from the clipped x_0, as use_clipped_model_output does it
        x = reference.step(
            network(x, torch.full((2,), t)),
            t,
            x,
            eta=eta,
            use_clipped_model_output=True,
            variance_noise=noise[k] if eta > 0 else None,
        ).prev_sample
        torch.testing.assert_close(mine, x, rtol=1e-9, atol=1e-9)


@every_prediction
@every_schedule
@every_spacing
@pytest.mark.parametrize("num_steps", [2, 3, 4, 20])
def test_dpm_solver_is_diffusers_multistep_solver(prediction, schedule, spacing, num_steps, randn):
    diffusion, x = GaussianDiffusion(T, schedule, prediction), randn(2, 3, 4, 4)
    sampler = DPMSolverPP(num_steps, clip=False, spacing=spacing)
    reference = DPMSolverMultistepScheduler(
        **settings(diffusion), algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero",
        lower_order_final=True,
    )  # fmt: skip
    chain = sampler.chain(diffusion)
    reference.set_timesteps(num_steps)
    reference.timesteps = torch.from_numpy(chain[::-1].copy())
    alpha_bar = np.cumprod(1 - make_betas(schedule, T))[chain[::-1]]
    reference.sigmas = torch.from_numpy(np.append(np.sqrt((1 - alpha_bar) / alpha_bar), 0.0))
    for k, mine in enumerate(ours(sampler, diffusion, x, None)):
        t = reference.timesteps[k]
        x = reference.step(network(x, t.expand(2)), t, x).prev_sample.double()
        rounding = 1e-6 * float(x.abs().max())  # diffusers rounds x to float32 at every step
        torch.testing.assert_close(mine, x, rtol=0, atol=rounding)
        x = mine


@pytest.mark.parametrize("steps", [2, 7, 10, 20, 50])
def test_evenly_spaced_chains_are_diffusers_chains(steps):
    for spacing in ("linspace", "trailing"):
        reference = DDIMScheduler(T, timestep_spacing=spacing)
        reference.set_timesteps(steps)
        chain = DDIM(steps, spacing=spacing).chain(GaussianDiffusion(T))
        np.testing.assert_array_equal(chain[::-1], reference.timesteps)


@every_spacing
@pytest.mark.parametrize(
    ("schedule", "total"),
    [
        ("cosine", 1),
        ("cosine", 2),
        *((schedule, total) for schedule in ("linear", "cosine") for total in (20, 33, 1000)),
    ],
)
def test_a_chain_of_any_length_increases_to_the_last_timestep(schedule, total, spacing):
    diffusion = GaussianDiffusion(total, schedule)
    for steps in {*range(1, min(total, 60) + 1), total - 1, total} - {0}:
        chain = DDPM(steps, spacing=spacing).chain(diffusion)
        assert len(chain) == steps
        assert chain[0] >= 0
        assert chain[-1] == total - 1
        assert (np.diff(chain) > 0).all()
    np.testing.assert_array_equal(DDPM(spacing=spacing).chain(diffusion), np.arange(total))


@every_schedule
def test_log_snr_steps_are_equally_long_from_where_the_image_begins(schedule):
    diffusion = GaussianDiffusion(1000, schedule)
    levels = diffusion.tables.schedule.half_log_snr[DDIM(10, spacing="log_snr").chain(diffusion)]
    steps = -np.diff(levels)[:-1]
    assert levels[0] == diffusion.tables.schedule.half_log_snr[0]
    assert steps.max() < 1.1 * steps.min()


def test_the_spacing_is_among_a_samplers_settings_and_what_lacks_it_has_the_samplers_own():
    for sampler in (DDIM(5, spacing="trailing"), DDPM(5, spacing="log_snr"), DPMSolverPP(5, spacing="linspace")):
        kept = describe(sampler)["init_args"]
        assert type(sampler)(**kept).spacing == sampler.spacing
        del kept["spacing"]
        assert type(sampler)(**kept).spacing == type(sampler)().spacing


@pytest.mark.parametrize("sampler", [DDIM(20), DPMSolverPP(20), DDPM(20)], ids=["ddim", "dpm++", "ddpm"])
def test_a_perfect_network_leads_back_to_the_image(sampler, randn):
    diffusion = GaussianDiffusion(T, "cosine")
    x_0 = randn(2, 3, 4, 4).clamp(-1, 1)
    alpha_bar = torch.from_numpy(diffusion.tables.schedule.alpha_bar)

    def oracle(x, t):
        a = alpha_bar[t][:, None, None, None]
        return (x - a.sqrt() * x_0) / (1 - a).sqrt()

    drawn = sampler.sample(diffusion, oracle, randn(2, 3, 4, 4, seed=1), lambda k: randn(2, 3, 4, 4, seed=k + 2))
    torch.testing.assert_close(drawn, x_0, rtol=1e-6, atol=1e-6)


def test_a_learned_variance_is_what_ddpm_adds(randn):
    diffusion = GaussianDiffusion(T, variance="learned")
    x, noise = randn(1, 1, 2, 2), randn(T, 1, 1, 2, 2, seed=1)

    def with_v(v):
        def output(x, t):
            return torch.cat([network(x, t), torch.full_like(x, v)], dim=1)

        return next(iter(sampler.trajectory(diffusion, output, x, lambda k: noise[k])))

    sampler = DDPM(timesteps=[0, 1])
    large = next(iter(sampler.trajectory(GaussianDiffusion(T), network, x, lambda k: noise[k])))
    torch.testing.assert_close(with_v(1.0), large)
    assert not torch.allclose(with_v(-1.0), large)


def test_noise_is_asked_for_only_where_it_is_used(randn):
    asked = []

    def noise(k):
        asked.append(k)
        return torch.zeros(1, 1, 2, 2, dtype=torch.float64)

    DDIM(10).sample(GaussianDiffusion(T), network, randn(1, 1, 2, 2), noise)
    assert asked == []
    DDPM(10).sample(GaussianDiffusion(T), network, randn(1, 1, 2, 2), noise)
    assert asked == list(range(9))


def test_sampling_records_no_gradient(randn):
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    x_T = randn(1, 1, 2, 2)
    for x in DDIM(3).trajectory(GaussianDiffusion(T), lambda x, t: weight * x, x_T, lambda k: x_T):
        assert not x.requires_grad


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DDIM(0), "from 1"),
        (lambda: DDIM(101).chain(GaussianDiffusion(T)), "101.*100"),
        (lambda: DDIM(timesteps=[3, 3]).chain(GaussianDiffusion(T)), "increase"),
        (lambda: DDPM(timesteps=[5, 100]).chain(GaussianDiffusion(T)), "99"),
        (lambda: DDPM(timesteps=[5, 6, 100]).chain(GaussianDiffusion(T)), "99"),
        (lambda: DDPM(timesteps=[100]).chain(GaussianDiffusion(T)), "99"),
        (lambda: DDPM(timesteps=[-1, 5]).chain(GaussianDiffusion(T)), "from 0"),
        (lambda: DDPM(timesteps=[]).chain(GaussianDiffusion(T)), "0 … 99"),
        (lambda: DDPM(10, timesteps=[5]), "not both"),
        (lambda: DDIM(10, eta=2.0), "eta"),
        (lambda: DDIM(10, eta=float("nan")), "eta"),
        (lambda: DDIM(2.5), "whole number"),
        (lambda: DDPM(float("inf")), "whole number"),
        (lambda: DDPM(timesteps=[0, 2.5]), "whole number"),
        (lambda: DPMSolverPP(10, guidance=float("nan")), "guidance is nan"),
        (lambda: DPMSolverPP(10, guidance=float("inf")), "guidance is inf"),
        (lambda: DPMSolverPP(10, spacing="karras"), "linspace, trailing, log_snr"),
        (lambda: DDPM(10, guidance_interval=[5]), r"guidance_interval is \[5\]; it must be two timesteps"),
        (lambda: DDIM(10, guidance_interval=[]), r"guidance_interval is \[\]; it must be two timesteps"),
        (lambda: DDIM(10, guidance_interval=(1, 2, 3)), r"guidance_interval is \(1, 2, 3\); it must be two"),
        (lambda: DPMSolverPP(10, guidance_interval=[6, 5]), r"guidance_interval is \[6, 5\]; it must be two"),
        (lambda: DDIM(10, guidance_interval=[0, float("nan")]), r"guidance_interval is \[0, nan\]; .* whole number"),
        (
            lambda: DDIM(10, guidance=2.0, guidance_interval=[100, 300]).chain(GaussianDiffusion(T)),
            r"guidance_interval is \[100, 300\], but the diffusion has only 100 timesteps",
        ),
        (lambda: DDIM(10, guidance_interval=5), "guidance_interval is 5; it must be two"),
        (lambda: DDIM(10, guidance_interval="ab"), "guidance_interval is 'ab'; it must be two"),
    ],
)
def test_impossible_chains_are_explained(make, message):
    with pytest.raises(UserError, match=message):
        make()
