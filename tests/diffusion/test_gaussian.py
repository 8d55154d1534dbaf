"""The diffusion process: predictions are inverses, distributions are what they say."""

import pytest
import torch

from lightning_nsd.diffusion.gaussian import Gaussian, GaussianDiffusion
from lightning_nsd.diffusion.loss import (
    diffusion_loss_terms,
    discretized_log_likelihood,
    normal_kl,
    variational_bound,
)
from lightning_nsd.errors import UserError


@pytest.mark.parametrize("prediction", ["eps", "x_0", "v"])
def test_a_perfect_prediction_gives_back_x_0_and_no_loss(prediction, randn):
    diffusion = GaussianDiffusion(100, "cosine", prediction)
    x_0, noise, t = randn(4, 3, 8, 8), randn(4, 3, 8, 8, seed=1), torch.tensor([0, 1, 50, 98])
    x_t = diffusion.q_sample(x_0, t, noise)
    target = diffusion.target(x_0, t, noise)
    alpha_bar = diffusion.tables.at("alpha_bar", t, x_0)
    torch.testing.assert_close(diffusion.predict_x_0(x_t, target, alpha_bar), x_0, rtol=1e-8, atol=1e-8)
    terms = diffusion_loss_terms(diffusion, target, x_0, x_t, t, noise)
    assert terms["mse"].tolist() == [0.0] * 4


def test_noising_keeps_unit_variance(randn):
    diffusion = GaussianDiffusion(100)
    x_t = diffusion.q_sample(randn(2, 3, 64, 64), torch.tensor([10, 90]), randn(2, 3, 64, 64, seed=1))
    assert x_t.var(dim=(1, 2, 3)).tolist() == pytest.approx([1.0, 1.0], abs=0.05)


def test_the_likelihood_of_all_256_values_sums_to_one(randn):
    values = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    p = Gaussian(torch.full((256,), 0.3, dtype=torch.float64), torch.full((256,), -2.0, dtype=torch.float64))
    assert float(discretized_log_likelihood(values, p).exp().sum()) == pytest.approx(1.0, abs=1e-9)


def test_the_kl_is_zero_for_equals_and_torchs_otherwise(randn):
    q, p = Gaussian(randn(5), randn(5, seed=1)), Gaussian(randn(5, seed=2), randn(5, seed=3))
    assert normal_kl(q, q).abs().max() == 0
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(q.mean, (q.log_variance / 2).exp()), normal(p.mean, (p.log_variance / 2).exp())
    )
    torch.testing.assert_close(normal_kl(q, p), expected)


def test_the_bound_trains_the_variance_alone(randn):
    diffusion = GaussianDiffusion(100, variance="learned")
    output = randn(3, 6, 4, 4).requires_grad_()
    x_0, noise, t = randn(3, 3, 4, 4, seed=1), randn(3, 3, 4, 4, seed=2), torch.tensor([0, 5, 99])
    x_t = diffusion.q_sample(x_0, t, noise)
    variational_bound(diffusion, output, x_0, x_t, t).sum().backward()
    assert output.grad[:, :3].abs().max() == 0
    assert (output.grad[:, 3:].flatten(1).abs().amax(dim=1) > 0).all()


def test_a_learned_variance_lies_between_the_two_fixed_ones(randn):
    def log_variance(variance, v):
        diffusion = GaussianDiffusion(100, variance=variance)
        output = torch.cat([randn(1, 3, 2, 2), torch.full((1, 3, 2, 2), v, dtype=torch.float64)], dim=1)
        output = output if variance == "learned" else output[:, :3]
        return diffusion.p_mean_variance(output, randn(1, 3, 2, 2), torch.tensor([50])).log_variance.max()

    assert float(log_variance("learned", 1.0)) == pytest.approx(float(log_variance("fixed_large", 0.0)))
    assert float(log_variance("learned", -1.0)) == pytest.approx(float(log_variance("fixed_small", 0.0)))
    assert float(log_variance("fixed_small", 0.0)) < float(log_variance("fixed_large", 0.0))


def test_the_weight_of_the_bound_is_a_factor(randn):
    x, output, t = randn(2, 3, 4, 4), randn(2, 6, 4, 4), torch.tensor([3, 4])
    for weight in (0.1, 1.0):
        diffusion = GaussianDiffusion(100, variance="learned", vlb_weight=weight)
        vb = diffusion_loss_terms(diffusion, output, x, x, t, x)["vb"]
        torch.testing.assert_close(vb, weight * variational_bound(diffusion, output, x, x, t))


def test_impossible_settings_are_explained():
    with pytest.raises(UserError, match="num_steps"):
        GaussianDiffusion(0)


def test_one_step_is_a_diffusion_too(randn):
    x_0, t = randn(1, 3, 4, 4), torch.zeros(1, dtype=torch.int64)
    assert torch.isfinite(GaussianDiffusion(1, "cosine").q_sample(x_0, t, x_0)).all()
