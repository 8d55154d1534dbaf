"""Classifier-free guidance as the samplers see it."""

import torch

from lightning_nsd.model.guidance import guided_network
from tests.conftest import make_model, randomized


def test_guidance_goes_from_the_null_context_through_the_conditional_and_beyond(randn):
    model = randomized(make_model(context_dropout=0.1).model).eval()
    support, x_t = randn(2, 3, 3, 8, 8).float(), randn(4, 3, 8, 8, seed=1).float()
    t = torch.tensor([3, 3, 40, 40])
    context = model.support_context(support)
    conditional = model.denoiser(x_t, t, context[[0, 0, 1, 1]])
    null = model.denoiser(x_t, t, model.null_context.expand(4, -1))
    assert not torch.allclose(conditional, null)
    for w in (0.0, 1.0, 2.5):
        expected = null + w * (conditional - null)
        torch.testing.assert_close(guided_network(model, support, 2, w)(x_t, t), expected)
