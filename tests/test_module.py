"""FewShotDiffusion's fixed methods."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lightning_nsd.data.episodes import EpisodeBatch
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM, DDPM
from lightning_nsd.errors import UserError
from lightning_nsd.model.context import VariationalContext
from lightning_nsd.model.set_vit import SetViT
from lightning_nsd.model.unet_encoder import UNetEncoder
from tests.conftest import make_model, randomized, tiny_dit

ROOT = Path(__file__).parent.parent
B, N = 2, 4


@pytest.fixture
def episodes(randn):
    return randn(B, N, 3, 8, 8).float(), torch.tensor([0, 30]), randn(B * N, 3, 8, 8, seed=1).float()


def prepared(**kwargs):
    module = make_model(**kwargs)
    randomized(module.model)
    module.ema.load_state_dict(module.model.state_dict())
    return module


def test_contexts_are_leave_one_out(episodes):
    module = prepared()
    contexts = module.contexts(episodes[0])
    assert tuple(contexts.shape) == (B * N, 16)
    torch.testing.assert_close(contexts[1:2], module.model.support_context(episodes[0][:1, [0, 2, 3]]))


def test_the_loss_is_made_of_its_parts(episodes):
    module = prepared(context=VariationalContext, kl_weight=0.5, diffusion=GaussianDiffusion(50, variance="learned"))
    xi = torch.randn(B, N, 16)
    terms = module.loss_terms(*episodes, xi)
    assert terms["mse"].shape == terms["vb"].shape == (B * N,)
    assert terms["kl_context"].shape == terms["loss"].shape == ()
    torch.testing.assert_close(terms["loss"], (terms["mse"] + terms["vb"]).mean() + 0.5 * terms["kl_context"])


def test_the_loss_agrees_with_contexts_and_denoise(episodes):
    images, t, noise = episodes
    module = prepared()
    x_t = module.diffusion.q_sample(images.flatten(0, 1), t.repeat_interleave(N), noise)
    output = module.denoise(x_t, t.repeat_interleave(N), module.contexts(images))
    torch.testing.assert_close(module.loss_terms(*episodes)["mse"], (output - noise).square().mean(dim=(1, 2, 3)))


@pytest.mark.parametrize("time_conditioned", [False, True])
@pytest.mark.parametrize("conditioning", ["film", "cross_attention"])
def test_every_weight_gets_a_gradient(episodes, conditioning, time_conditioned):
    module = prepared(
        encoder=partial(SetViT, context_dim=16, patch_size=4, depth=1, num_heads=2, head_dim=8,
                        time_conditioned=time_conditioned),
        denoiser=partial(tiny_dit, conditioning=conditioning),
        context=VariationalContext,
        context_dropout=0.5,
    )  # fmt: skip
    dropped = torch.arange(B * N) % 2 == 0
    module.loss_terms(*episodes, torch.randn(B, N, 16), dropped)["loss"].backward()
    without = [name for name, p in module.model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_a_variational_context_uses_its_noise_and_is_its_mean_without(episodes):
    module = prepared(context=VariationalContext)
    images, xi = episodes[0], torch.randn(B, N, 16)
    mean = module.contexts(images)
    up, down = module.contexts(images, xi), module.contexts(images, -xi)
    torch.testing.assert_close((up + down) / 2, mean, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(up, mean)


def test_a_dropped_query_does_not_depend_on_its_set(episodes):
    module = prepared(context_dropout=0.5)
    images, t, noise = episodes
    dropped = torch.zeros(B * N, dtype=torch.bool)
    dropped[1] = True
    other = images.clone()
    other[0, 0] = -other[0, 0]
    a, b = (module.loss_terms(x, t, noise, None, dropped)["mse"] for x in (images, other))
    assert a[1] == b[1]
    assert a[2] != b[2]


def test_samples_have_shape_and_range_and_follow_the_generator(episodes):
    module = prepared().eval()
    support = episodes[0][:, :3]

    def draw(seed, sampler=None):
        return module.sample(support, 5, torch.Generator().manual_seed(seed), sampler)

    images = draw(0)
    assert images.shape == (B, 5, 3, 8, 8)
    assert images.abs().max() <= 1
    assert torch.equal(images, draw(0))
    assert not torch.equal(images, draw(1))
    assert not torch.equal(images, draw(0, DDPM(10)))


def test_sampling_leaves_the_global_random_state_alone(episodes):
    module = prepared().eval()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    module.sample(episodes[0][:, :3], 1, torch.Generator().manual_seed(0))
    assert torch.equal(torch.rand(3), expected)


def test_sampling_uses_the_average(episodes):
    module = prepared().eval()
    support, generator = episodes[0][:, :3], torch.Generator()
    before = module.sample(support, 1, generator.manual_seed(0))
    randomized(module.model, seed=9)
    assert torch.equal(module.sample(support, 1, generator.manual_seed(0)), before)
    randomized(module.ema, seed=9)
    assert not torch.equal(module.sample(support, 1, generator.manual_seed(0)), before)


def test_guidance_of_one_is_none_and_more_moves_away_from_the_null_context(episodes):
    module = prepared(context_dropout=0.1).eval()
    support = episodes[0][:, :3]

    def draw(w):
        return module.sample(support, 2, torch.Generator().manual_seed(0), DDIM(1, guidance=w, clip=False))

    null = module.ema.null_context.detach()
    by_two, by_one, by_none = draw(2.0), draw(1.0), draw(0.0)
    assert not torch.allclose(by_two, by_one)
    module.ema.support_context = lambda support, t=None: null.expand(len(support), -1)
    torch.testing.assert_close(by_none, draw(1.0))


def test_the_unconditional_baseline_needs_no_support(episodes):
    module = prepared(encoder=None, denoiser=partial(tiny_dit, conditioning="none")).eval()
    assert module.contexts(episodes[0]) is None
    support = episodes[0][:, :3]
    a, b = (module.sample(s, 1, torch.Generator().manual_seed(0)) for s in (support, -support))
    assert torch.equal(a, b)


def test_the_start_weights_follow_the_seed_alone():
    torch.manual_seed(1)
    a = make_model(seed=3).state_dict()
    torch.manual_seed(2)
    b, c = make_model(seed=3).state_dict(), make_model(seed=4).state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"denoiser": partial(tiny_dit, conditioning="none")}, "encoder would never be used"),
        ({"encoder": None}, "there is no model.encoder"),
        ({"encoder": partial(SetViT, patch_size=4, pool="none", context_dim=16)}, "pool gives tokens"),
        ({"encoder": partial(UNetEncoder, pool="mean_patch")}, "pool gives tokens"),
        ({"context_dropout": 1.5}, "context_dropout"),
        ({"sampler": DDIM(51)}, "51.*50"),
        ({"sampler": DDIM(10, guidance=2.0)}, "guidance"),
    ],
)
def test_parts_that_do_not_fit_are_explained(settings, message):
    with pytest.raises(UserError, match=message):
        make_model(**settings)


def test_processes_predict_with_noise_of_their_own_and_as_one_process_would(randn):
    """Two processes with a batch each draw what one does with both batches, one after the other."""
    module = prepared(sampler=DDIM(2))
    images = randn(B, N, 3, 8, 8).float()

    def predict(number, rank, world_size):
        module.trainer = trainer = SimpleNamespace(global_rank=rank, world_size=world_size)  # held: module's is weak
        return module.predict_step(EpisodeBatch(images, torch.ones(B), number, B * world_size), 0), trainer

    of_two = [predict(1, rank, 2)[0] for rank in (0, 1)]
    assert not torch.allclose(*of_two)
    for rank in (0, 1):
        torch.testing.assert_close(of_two[rank], predict(2 + rank, 0, 1)[0], rtol=0, atol=0)


COMPILED = """
import torch
from pathlib import Path
from lightning_nsd.module import FewShotDiffusion
from tests.conftest import make_model
from tests.training.conftest import run

compile_network, log, logged = torch.nn.Module.compile, FewShotDiffusion.log, []
torch.nn.Module.compile = lambda module, mode: compile_network(module, backend="eager")  # its own takes a minute
FewShotDiffusion.log = lambda *given, **named: (logged.append(torch.compiler.is_compiling()), log(*given, **named))
for compiled in (False, True):
    trainer = run(Path(str(compiled)), 3, make_model(compile=compiled))
    print(float(trainer.callback_metrics["train/loss"]), bool(torch._dynamo.utils.counters["frames"]), set(logged))
"""


def test_a_compiled_network_learns_what_it_would_and_logs_nothing_while_it_is_compiled(tmp_path):
    """In a process without checked signatures, which cannot be compiled."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.check_output([sys.executable, "-c", COMPILED], cwd=tmp_path, env=environment, text=True)
    plain, compiled = (line.split(maxsplit=2) for line in said.splitlines() if line.endswith("{False}"))
    assert (plain[1], compiled[1]) == ("False", "True")
    assert float(compiled[0]) == pytest.approx(float(plain[0]), rel=1e-5)
