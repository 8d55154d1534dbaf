"""Bits per dimension of every class: of which images, with which noise, and where they are shown."""

import math
import re
from functools import partial

import numpy as np
import pytest
import torch

from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.likelihood import prior_bits
from lightning_nsd.diffusion.loss import bound_term
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.bits import BitsMeter, choose_bits_episodes, mean_bits
from lightning_nsd.evaluation.failure import EvaluationError, Failures
from lightning_nsd.evaluation.populations import class_populations
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.terminal import print_report
from lightning_nsd.latents import DiffusersAutoencoder
from lightning_nsd.model.class_embedding import ClassEmbedding
from lightning_nsd.model.context import VariationalContext
from lightning_nsd.model.discrete_context import DiscreteContext
from lightning_nsd.processes.group import Processes
from lightning_nsd.rng import Stream, generator
from lightning_nsd.training.episode_bits import Bits
from tests.conftest import make_model, randomized, tiny_set_vit
from tests.evaluation.conftest import evaluate, make_evaluator, make_image_set, make_module, make_settings, run
from tests.latents.make_autoencoder import make_autoencoder
from tests.latents.make_model import latent_model

SIZES = {"a": 12, "b": 7}
N = 2  # images of an episode


@pytest.fixture
def image_set():
    return make_image_set(SIZES)


@pytest.fixture
def populations(image_set):
    return class_populations(image_set, {}, list(SIZES), make_settings(num_samples=4), N - 1)


def make_random_module(**kwargs):
    module = make_module(**kwargs)
    randomized(module.ema)
    return module


def measure(module, image_set, populations, count=4, seed=0, processes=None, **settings):
    """The bits of every class."""
    meter = BitsMeter(module, make_settings(**settings), seed, Failures(strict=True))
    episodes = choose_bits_episodes(image_set, populations, N, count, seed, "val")
    with torch.no_grad():
        return meter.measure(image_set, episodes, processes or Processes())


def test_episodes_are_of_different_images_of_the_class_and_fewer_are_the_first_of_more(image_set, populations):
    episodes = choose_bits_episodes(image_set, populations, N, 5, 0, "val")
    assert [episode.population for episode in episodes] == [0, 0, 0, 1, 1, 1]
    for of_class in (episodes[:3], episodes[3:]):
        images = torch.cat([episode.images for episode in of_class])
        first = int(image_set.offsets[of_class[0].population])
        assert len(images.unique()) == 6
        assert first <= int(images.min()) and int(images.max()) < first + SIZES["ab"[of_class[0].population]]
    fewer = choose_bits_episodes(image_set, populations, N, 1, 0, "val")
    assert [episode.images.tolist() for episode in fewer] == [episodes[i].images.tolist() for i in (0, 3)]
    everything = choose_bits_episodes(image_set, populations, N, 1000, 0, "val")
    assert sum(len(episode.images) for episode in everything) == 12 + 6
    assert choose_bits_episodes(image_set, populations, N, 0, 0, "val") == []
    other = choose_bits_episodes(image_set, populations, N, 5, 1, "val")
    assert any(a.images.tolist() != b.images.tolist() for a, b in zip(episodes, other, strict=True))


@pytest.mark.parametrize("variance", ["fixed_large", "learned"])
def test_the_bits_are_the_sum_over_all_timesteps_of_the_networks_own_terms(image_set, populations, variance):
    """By a loop over timesteps and images: the model given the other image of the episode, and the noise of its key."""
    module = make_random_module(diffusion=GaussianDiffusion(20, "cosine", "x_0", variance))
    model, diffusion = module.ema, module.diffusion
    expected, priors, first = [], [], []
    for episode in choose_bits_episodes(image_set, populations, N, 4, 0, "val")[:2]:
        images = to_unit_range(image_set.images[episode.images])
        for t in range(20):
            noise = torch.randn(images.shape, generator=generator(0, Stream.EVAL_BITS, *episode.key, t))
            for i in range(N):
                x_0, step = images[i : i + 1], torch.tensor([t])
                x_t = diffusion.q_sample(x_0, step, noise[i : i + 1])
                with torch.no_grad():
                    output = model.denoise(x_t, step, model.support_context(images[None, 1 - i : 2 - i]), None)
                p = diffusion.p_mean_variance(output, x_t, step, clip=True)
                expected.append(float(bound_term(diffusion, p, x_0, x_t, step)))
                first += expected[-1:] if t == 0 else []
        priors.append(float(prior_bits(diffusion, images).mean()))
    found, images = measure(module, image_set, populations)[0]
    assert images == 4
    assert found.total == pytest.approx(sum(expected) / 4 + np.mean(priors), rel=1e-5)
    assert (found.prior, found.decoder) == (pytest.approx(np.mean(priors)), pytest.approx(np.mean(first), rel=1e-5))
    assert (found.error, found.context) == (0.0, 0.0)


def test_the_size_of_batches_and_the_number_of_processes_change_nothing(image_set, populations):
    class Three(Processes):
        """Every process's work, done by one after the other."""

        def gather_objects(self, value):
            return gathered[len(seen) - 1] if seen.append(value) is None and gathered else [value]

    module = make_random_module()
    one = measure(module, image_set, populations, count=8, batch_size=64)
    other = measure(module, image_set, populations, count=8, batch_size=6)  # 3 of 20 timesteps at a time
    for number in (0, 1):
        assert other[number][0] == pytest.approx(one[number][0], rel=1e-5)
    rounds = []
    for rank in range(3):
        seen, gathered = [], []
        processes = Three()
        processes.rank, processes.size = rank, 3
        measure(module, image_set, populations, count=8, batch_size=64, processes=processes)
        rounds.append(seen)
    gathered = [list(each) for each in zip(*rounds, strict=True)]
    seen = []
    assert measure(module, image_set, populations, count=8, batch_size=64, processes=processes) == one


def test_some_timesteps_are_about_right_and_the_same_every_time(image_set, populations):
    module = make_random_module(diffusion=GaussianDiffusion(80, "cosine", "v"))
    whole, _ = measure(module, image_set, populations, batch_size=64)[0]
    some, _ = measure(module, image_set, populations, count=4, bits_timesteps=21, batch_size=64)[0]
    assert measure(module, image_set, populations, count=4, bits_timesteps=21, batch_size=64)[0][0] == some
    assert 0 < some.error < 0.1 * whole.total
    assert abs(some.total - whole.total) < 4 * some.error
    assert (some.prior, some.decoder) == pytest.approx((whole.prior, whole.decoder))
    assert measure(module, image_set, populations, count=1, seed=1, bits_timesteps=3)[0][0].decoder != whole.decoder


@pytest.mark.parametrize("time_conditioned", [False, True])
def test_a_variational_contexts_whole_kl_is_borne_by_one_image(image_set, populations, time_conditioned):
    encoder = partial(tiny_set_vit, time_conditioned=time_conditioned)
    module = make_random_module(context=VariationalContext, encoder=encoder)
    episodes = choose_bits_episodes(image_set, populations, N, 2, 0, "val")
    images = to_unit_range(image_set.images[episodes[0].images])
    steps = torch.arange(20) if time_conditioned else torch.tensor([0])
    with torch.no_grad():
        kl = module.ema.episode_context(images.expand(len(steps), *images.shape), steps).kl.mean() * len(steps)
    found, _ = measure(module, image_set, populations, count=2)[0]
    assert found.context == pytest.approx(float(kl) * 16 / (3 * 8 * 8), rel=1e-5)  # of 16 dimensions, in one image
    assert found.total > found.context + found.decoder


def test_the_mean_over_episodes_has_the_error_of_independent_ones():
    found = mean_bits([Bits(4.0, 0.3, 0.1, 1.0, 0.0), Bits(6.0, 0.4, 0.3, 2.0, 0.0)])
    assert found == pytest.approx(Bits(5.0, 0.25, 0.2, 1.5, 0.0))


# ---- in a report ----


def test_an_evaluation_shows_them_in_tables_and_figures(tmp_path):
    plain, _ = evaluate(tmp_path / "plain", SIZES)
    rows, found = evaluate(tmp_path / "bits", SIZES, bits_samples=3, bits_timesteps=7)
    columns = [name for name in rows["a"] if name not in plain["a"]]
    assert columns == ["bits", "bits_error", "bits_prior", "bits_decoder", "bits_context", "bits_images"]
    assert {name: row["bits_images"] for name, row in rows.items()} == {"a": "4", "b": "4"}
    assert all(float(row["bits"]) > float(row["bits_decoder"]) > 0 for row in rows.values())
    assert rows["a"]["fd_means"] == plain["a"]["fd_means"]  # which the bits' noise does not touch
    assert (found["bits_samples"], found["bits_timesteps"]) == (3, 7)
    report = run(make_evaluator(bits_samples=3, bits_timesteps=7), SIZES)
    figures = report.figures()
    assert figures["val/bits/a"] == float(rows["a"]["bits"])
    assert figures["val/bits/mean"] == pytest.approx(np.mean([float(row["bits"]) for row in rows.values()]))
    errors = [float(row["bits_error"]) for row in rows.values()]
    assert figures["val/bits_error/mean"] == pytest.approx(math.hypot(*errors) / 2)
    assert not [key for key in run(make_evaluator(), SIZES).figures() if "bits" in key]


def test_the_terminal_says_the_mean_and_how_far_off_it_may_be(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    report: Report = run(make_evaluator(bits_samples=2, bits_timesteps=7), SIZES)
    print_report(report, None)
    said = capsys.readouterr().out
    assert re.search(r"bits per dimension of real images: \d+\.\d+ ± \d+\.\d+, the standard error", said)
    report.rows = [row._replace(bits=row.bits._replace(error=0.0)) for row in report.rows]
    print_report(report, None)
    assert re.search(r"bits per dimension of real images: \d+\.\d+$", capsys.readouterr().out, re.MULTILINE)


def test_more_timesteps_than_there_are_is_an_error():
    with pytest.raises(UserError, match=r"^fid\.bits_timesteps is 21, but the diffusion has only 20 \(num_steps\)\.$"):
        run(make_evaluator(bits_samples=1, bits_timesteps=21), SIZES)


def test_a_class_whose_bits_failed_has_its_distance_still(monkeypatch, caplog):
    def fails(self, images, key):
        if key[1] == 1:
            raise RuntimeError("out of memory, say")
        return Bits(1.0, 0.0, 0.0, 0.0, 0.0)

    monkeypatch.setattr(BitsMeter, "_bits", fails)
    rows = run(make_evaluator(bits_samples=2), SIZES).rows
    assert rows[0].bits.total == 1.0 and math.isnan(rows[1].bits.total) and rows[1].bits_images == 0
    assert all(row.distances.fid > 0 for row in rows)
    assert "bits per dimension of an episode could not be computed" in caplog.text and "out of memory" in caplog.text
    with pytest.raises(EvaluationError, match="out of memory"):
        run(make_evaluator(bits_samples=2, strict=True), SIZES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"context": partial(DiscreteContext, codebook_size=3)}, "DiscreteContext weighs its entries"),
        ({"encoder": partial(ClassEmbedding, num_classes=8), "context_dropout": 0.1}, "no context of examples"),
        ({"encoder": partial(tiny_set_vit, slots=3), "leave_one_out": False}, "leave_one_out is false"),
    ],
)
def test_models_that_have_no_bits_are_refused_before_anything_is_drawn(settings, message):
    with pytest.raises(UserError, match=message):
        make_evaluator(bits_samples=1).check(make_model(**settings), ["train"])


def test_latents_have_no_bits(tmp_path):
    autoencoder = DiffusersAutoencoder(str(make_autoencoder(tmp_path)))
    with pytest.raises(UserError, match="draws latents"):
        make_evaluator(bits_samples=1).check(latent_model(autoencoder), ["val"])
