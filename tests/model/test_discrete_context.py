"""The discrete context: entries of a codebook, one for each token, and what the choice costs."""

from functools import partial

import pytest
import torch
from torch.distributions import Categorical, Gumbel, kl_divergence

import lightning_nsd
from lightning_nsd.checkpoints.same_model import check_same
from lightning_nsd.errors import UserError
from lightning_nsd.model.discrete_context import DiscreteContext, gumbel
from tests.conftest import make_model, randomized, tiny_dit, tiny_set_vit
from tests.training.conftest import run

WITH_TOKENS = {
    "encoder": partial(tiny_set_vit, pool="none"),
    "denoiser": partial(tiny_dit, conditioning="cross_attention"),
}
SHAPES = pytest.mark.parametrize("shape", [(3, 6), (3, 4, 6)], ids=["vectors", "tokens"])


def made(**settings) -> DiscreteContext:
    return randomized(DiscreteContext(6, codebook_size=5, **settings).double(), scale=1.0)


def uniform(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@SHAPES
def test_without_noise_every_token_becomes_its_likeliest_entry(shape, randn):
    context = made()
    h = randn(*shape)
    chosen = context(h).context
    likeliest = context.linear(h).argmax(dim=-1)
    assert len(likeliest.unique()) > 1
    assert torch.equal(chosen, context.codebook[likeliest])


@SHAPES
def test_with_noise_it_is_a_relaxed_choice_which_a_low_temperature_makes_a_choice_of_one(shape, randn):
    context = made()
    h, noise = randn(*shape), uniform(*shape[:-1], 5)
    logits = context.linear(h)
    scores = logits + Gumbel(torch.zeros(()).double(), torch.ones(()).double()).icdf(noise)
    torch.testing.assert_close(context(h, noise).context, (scores / 0.5).softmax(dim=-1) @ context.codebook)
    context.temperature = 0.001
    torch.testing.assert_close(context(h, noise).context, context.codebook[scores.argmax(dim=-1)], atol=1e-4, rtol=0)


def test_entries_are_chosen_as_often_as_their_probabilities_say():
    logits = torch.tensor([0.0, 1.0, 2.0]).double()
    chosen = (logits + gumbel(uniform(20_000, 3))).argmax(dim=-1)
    torch.testing.assert_close(chosen.bincount().double() / 20_000, logits.softmax(dim=-1), atol=0.015, rtol=0)


@SHAPES
def test_it_costs_the_kl_to_the_uniform_distribution_of_a_token_in_bits(shape, randn):
    context = made()
    h = randn(*shape)
    nats = kl_divergence(Categorical(logits=context.linear(h)), Categorical(logits=torch.zeros(5).double()))
    expected = nats.reshape(3, -1).mean(dim=1) / torch.tensor(2.0).log()
    for noise in (None, uniform(*shape[:-1], 5)):
        torch.testing.assert_close(context(h, noise).kl, expected)
    torch.nn.init.zeros_(context.linear.weight)
    torch.nn.init.zeros_(context.linear.bias)
    torch.testing.assert_close(context(h).kl, torch.zeros(3).double())
    with torch.no_grad():
        context.linear.bias[2] = 100.0
    torch.testing.assert_close(context(h).kl, torch.full((3,), 5.0).double().log2())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_of_the_interval_are_finite_and_so_are_their_gradients(dtype):
    context = DiscreteContext(6, codebook_size=2).to(dtype)
    noise = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]], dtype=dtype)
    output = context(torch.zeros(4, 6, dtype=dtype, requires_grad=True), noise)
    output.context.sum().backward()
    assert output.context.isfinite().all()
    assert all(p.grad.isfinite().all() for p in context.parameters() if p.grad is not None)


def test_every_token_draws_a_number_for_each_entry():
    context = partial(DiscreteContext, codebook_size=7)
    tokens = make_model(context=context, **WITH_TOKENS).model
    assert tokens.context_noise_shape(4) == (tokens.encoder.context_shape(3)[0], 7)
    vector = make_model(context=context).model
    assert vector.context_noise_shape(4) == (7,)
    assert vector.context_noise_kind == "uniform"


def test_the_kl_of_every_leave_one_out_context_is_in_the_loss(randn):
    module = make_model(context=partial(DiscreteContext, codebook_size=7), kl_weight=2.0)
    randomized(module.model)
    images = randn(2, 4, 3, 8, 8).float()
    t, noise, drawn = torch.tensor([1, 9]), randn(8, 3, 8, 8).float(), uniform(2, 4, 7).float()
    terms = module.loss_terms(images, t, noise, drawn)
    output = module.model.episode_context(images, None, drawn)
    assert output.kl.shape == (8,)
    torch.testing.assert_close(terms["kl_context"], output.kl.mean())
    torch.testing.assert_close(terms["loss"], terms["mse"].mean() + 2.0 * output.kl.mean())
    terms["loss"].backward()
    assert module.model.context.codebook.grad.abs().sum() > 0
    assert module.model.context.linear.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"codebook_size": 1}, "model.context.codebook_size is 1; it must be a whole number from 2"),
        ({"temperature": 0.0}, "model.context.temperature is 0.0; it must be a number from 0.01"),
    ],
)
def test_a_codebook_of_one_entry_and_a_temperature_of_zero_are_errors(settings, words):
    with pytest.raises(UserError, match=words):
        DiscreteContext(6, **settings)


def test_a_checkpoint_keeps_its_codebook_and_gives_it_back(tmp_path):
    model = make_model(context=partial(DiscreteContext, codebook_size=7, temperature=0.25))
    run(tmp_path, 2, model)
    loaded = lightning_nsd.load(tmp_path / "last.ckpt")
    context = loaded.model.context
    assert (type(context), context.codebook_size, context.temperature) == (DiscreteContext, 7, 0.25)
    assert torch.equal(context.codebook, model.ema.context.codebook)
    assert loaded.hyperparameters == model.hyperparameters
    support = torch.zeros(1, 3, 3, 8, 8)
    drawn = [each.sample(support, 2, torch.Generator().manual_seed(0)) for each in (loaded, model)]
    assert torch.equal(*drawn)


def test_only_the_temperature_may_be_another_where_training_goes_on():
    made_with = lambda **settings: make_model(context=partial(DiscreteContext, **settings))  # noqa: E731
    saved = made_with(codebook_size=7).hyperparameters
    check_same(saved, made_with(codebook_size=7, temperature=1.0))
    with pytest.raises(UserError, match=r"codebook_size: 7 in the checkpoint, 8 in the configuration"):
        check_same(saved, made_with(codebook_size=8))
