"""Contexts: what they cost, and whether they draw noise."""

from functools import partial

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from lightning_nsd.model.context import DeterministicContext, VariationalContext, as_tokens, replace_by_null
from tests.conftest import make_model, randomized, tiny_dit, tiny_set_vit


def test_only_a_variational_context_draws_noise_one_number_for_each_of_its_own():
    with_tokens = {
        "encoder": partial(tiny_set_vit, pool="none"),
        "denoiser": partial(tiny_dit, conditioning="cross_attention"),
    }
    unconditional = {"encoder": None, "denoiser": partial(tiny_dit, conditioning="none")}
    assert make_model(context=VariationalContext).model.context_noise_shape(4) == (16,)
    tokens = make_model(context=VariationalContext, **with_tokens).model
    assert tokens.context_noise_shape(4) == tokens.encoder.context_shape(3)
    assert make_model(context=DeterministicContext).model.context_noise_shape(4) is None
    assert make_model(context=VariationalContext, **unconditional).model.context_noise_shape(4) is None


@pytest.mark.parametrize("shape", [(3, 6), (3, 4, 6)], ids=["vectors", "tokens"])
def test_a_variational_context_is_a_gaussian_and_costs_its_kl_to_the_prior_in_bits(shape, randn):
    context = randomized(VariationalContext(6).double())
    h, xi = randn(*shape), randn(*shape, seed=1)
    parameters = context.linear_2(context.act(context.linear_1(h)))
    mean, log_variance = parameters[..., :6], parameters[..., 6:]
    normal = Normal(mean, (log_variance / 2).exp())
    torch.testing.assert_close(context(h, xi).context, normal.mean + normal.stddev * xi)
    torch.testing.assert_close(context(h).context, mean)
    nats = kl_divergence(normal, Normal(torch.zeros(()), torch.ones(()))).flatten(1).mean(dim=1)
    torch.testing.assert_close(context(h, xi).kl, nats / torch.tensor(2.0).log())


@pytest.mark.parametrize("shape", [(4,), (5, 4)], ids=["vector", "tokens"])
def test_the_null_context_replaces_what_is_dropped_and_nothing_else(shape, randn):
    context, null, dropped = randn(3, *shape), randn(4, seed=1), torch.tensor([False, True, False])
    replaced = replace_by_null(context, null, dropped)
    assert torch.equal(replaced[[0, 2]], context[[0, 2]])
    assert torch.equal(replaced[1], null.expand(shape))
    assert tuple(as_tokens(context).shape) == (3, *((1, 4) if len(shape) == 1 else shape))
