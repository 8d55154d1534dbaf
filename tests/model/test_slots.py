"""What later versions of the JAX source have: slots, other tokens, positions and heads, contexts with the query."""

from functools import partial

import pytest
import torch

from lightning_nsd.errors import UserError
from lightning_nsd.model.embeddings import TimestepFeatures
from lightning_nsd.model.set_vit import SetViT
from lightning_nsd.model.unet_encoder import UNetEncoder
from lightning_nsd.model.vit import ViT
from tests.conftest import make_model, randomized, tiny_set_vit

SMALL = {"patch_size": 4, "context_dim": 12, "depth": 1, "num_heads": 2, "head_dim": 4}
WITH_SLOTS = {
    "SetViT": partial(SetViT, **SMALL, slots=4),
    "SetViT-mean": partial(SetViT, **SMALL, slots=4, tokens="mean"),
    "ViT": partial(ViT, **SMALL, slots=4, pool="mean"),
}
every = pytest.mark.parametrize("name", WITH_SLOTS)


def make(factory, **kwargs):
    return randomized(factory(8, 3, 2, **kwargs).double())


@every
@pytest.mark.parametrize("n", [1, 2, 3])
def test_empty_slots_hold_grey_images(name, n, randn):
    encoder, support = make(WITH_SLOTS[name]), randn(2, n, 3, 8, 8)
    filled = torch.cat([support, torch.zeros(2, 4 - n, 3, 8, 8)], dim=1)
    torch.testing.assert_close(encoder(support), encoder(filled))
    assert encoder.takes(n)


@every
def test_more_images_than_slots_are_refused(name, randn):
    encoder = make(WITH_SLOTS[name])
    assert encoder.takes(4) and not encoder.takes(5)
    with pytest.raises(UserError, match=r"has 4 slots .*a set has 5 images"):
        encoder(randn(1, 5, 3, 8, 8))


@every
def test_fewer_slots_than_shots_are_refused(name):
    with pytest.raises(UserError, match=r"slots is 4, and a support set has 6"):
        WITH_SLOTS[name](8, 3, 6)


@every
def test_leaving_one_out_moves_the_others_up(name, randn):
    encoder, images = make(WITH_SLOTS[name]), randn(1, 4, 3, 8, 8)
    contexts = encoder.encode_leave_one_out(images)
    torch.testing.assert_close(contexts[1], encoder(images[:, [0, 2, 3]])[0])


def test_tokens_that_are_a_mean_do_not_know_an_order_or_a_number(randn):
    encoder, support = make(partial(SetViT, **SMALL, tokens="mean")), randn(1, 3, 3, 8, 8)
    context = encoder(support)
    torch.testing.assert_close(encoder(support[:, [2, 0, 1]]), context)
    torch.testing.assert_close(encoder(torch.cat([support, support], dim=1)), context)
    assert not torch.allclose(encoder(support[:, :2]), context)


def test_interleaved_positions_go_to_patch_q_by_q_over_the_number_of_images():
    encoder = make(partial(ViT, **SMALL, interleaved_positions=True))
    positions, table = encoder.patch_positions(3), encoder.position[0, 2:]
    for image in range(3):
        for patch in range(4):
            assert torch.equal(positions[0, image, patch], table[(image * 4 + patch) // 3])
    shared = make(partial(ViT, **SMALL)).patch_positions(3)
    assert shared.shape == (1, 1, 4, 12)


@pytest.mark.parametrize("factory", [SetViT, ViT])
def test_a_head_of_two_layers_and_a_time_embedding_have_the_widths_that_are_asked_for(factory, randn):
    more = {"mlp_head_dim": 7, "time_embedding_dim": 20, "time_conditioned": True}
    encoder = make(partial(factory, **SMALL, **more))
    assert encoder.head.linear_1.out_features == 7
    embedding = encoder.time_embedding
    assert (embedding.linear_1.in_features, embedding.linear_2.out_features) == (5, 20)
    support, t = randn(2, 2, 3, 8, 8), torch.tensor([3, 40])
    assert not torch.allclose(encoder(support, t), encoder(support, t + 5))


def test_an_odd_number_of_time_features_ends_with_a_zero():
    features = TimestepFeatures(5)(torch.tensor([0, 7]), like=torch.zeros(1, dtype=torch.float64))
    assert features.shape == (2, 5)
    torch.testing.assert_close(features[0], torch.tensor([1.0, 1, 0, 0, 0], dtype=torch.float64))
    torch.testing.assert_close(features[1, 3], torch.tensor(7 * 0.01, dtype=torch.float64).sin())
    assert features[1, 4] == 0


# ---- contexts with the query in them ----


def test_a_context_of_all_images_is_the_same_for_each_and_knows_it(randn):
    model = randomized(
        make_model(encoder=partial(UNetEncoder, **{"model_channels": 4}), leave_one_out=False).model.double()
    )
    images = randn(2, 4, 3, 8, 8)
    contexts = model.episode_context(images).context.unflatten(0, (2, 4))
    torch.testing.assert_close(contexts, contexts[:, :1].expand_as(contexts))
    torch.testing.assert_close(contexts[:, 0], model.support_context(images))
    changed = images.clone()
    changed[0, 2] += 1
    assert not torch.allclose(model.episode_context(changed).context[2], contexts[0, 2])


def test_an_encoder_without_room_for_the_query_is_refused_and_one_with_slots_is_not():
    with pytest.raises(UserError, match=r"all 4 images of an episode, and SetViT was built for 3.*slots to 4"):
        make_model(leave_one_out=False)
    with pytest.warns(UserWarning, match=r"leave_one_out is false"):
        model = make_model(leave_one_out=False, encoder=partial(tiny_set_vit, slots=4))
    assert model.hyperparameters["leave_one_out"] is False


def test_a_model_with_slots_draws_from_fewer_images_and_not_from_more():
    model = make_model(encoder=partial(tiny_set_vit, slots=4))
    drawn = model.sample(torch.zeros(1, 2, 3, 8, 8), 1, torch.Generator().manual_seed(0))
    assert drawn.shape == (1, 1, 3, 8, 8)
    model.use_set_size(2)
    with pytest.raises(UserError, match="SetViT was trained for 4 images a set, and 5 are asked for"):
        model.use_set_size(5)
