"""The comparison of configs: its judge knows copies and real letters, and its table says means and deviations."""

import argparse
import json

import pytest
import torch
from PIL import Image

from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM, DDPM, DPMSolverPP


@pytest.fixture(scope="module")
def bench():
    import judge
    import quality

    return argparse.Namespace(judge=judge, quality=quality)


@pytest.fixture(scope="module")
def judge(bench, tmp_path_factory):
    data = Glyphs(image_size=8, n_shot=2, val_script="digits", test_script="thai")
    return bench.judge.Judge(data, tmp_path_factory.mktemp("judge"), classifier_steps=4, sets=2)


@pytest.fixture(scope="module")
def real(judge):
    """Twelve real letters of every held-out class: the first two as examples of each of two sets, then the others."""
    images = torch.stack([to_unit_range(judge.fonts.of_class(number)[:12]) for number in judge.held_out.tolist()])
    return images.unflatten(1, (2, 6))  # (K, sets, 6, 1, 8, 8)


def drawings(bench, support, drawn):
    return bench.judge.Drawings(support, drawn)


def test_the_classes_are_those_of_the_held_out_scripts(judge):
    assert len(judge.held_out) == 10 + 46


def test_a_reader_that_cannot_read_says_so(bench, tmp_path, capsys):
    data = Glyphs(image_size=8, n_shot=2, val_script="digits", test_script="thai")
    made = bench.judge.Judge(data, tmp_path, classifier_steps=1, sets=1)
    assert made.real_accuracy < bench.judge.READS
    assert "worth little" in capsys.readouterr().out


def test_copies_of_the_examples_are_not_original(bench, judge, real):
    support = real[:, :, :2]
    result = judge.judge(drawings(bench, support, support))
    assert result["originality"] == 0
    assert result["copies"] == 1


def test_real_letters_are_as_original_and_as_diverse_as_real_letters(bench, judge, real):
    result = judge.judge(drawings(bench, real[:, :, :2], real[:, :, 2:]))
    for name in ("originality", "diversity", "feature_originality", "feature_diversity"):
        assert result[name] == pytest.approx(1, abs=0.25)
    assert result["copies"] == 0


def test_one_image_again_and_again_is_not_diverse(bench, judge, real):
    result = judge.judge(drawings(bench, real[:, :, :2], real[:, :, 2:3].expand(-1, -1, 4, -1, -1, -1)))
    assert result["diversity"] == result["feature_diversity"] == 0


def test_the_summary_is_the_mean_and_the_deviation_over_seeds(bench):
    runs = [{"config": "a", "sampler": "w1", **dict.fromkeys(bench.quality.COLUMNS, value)} for value in (0.5, 0.7)]
    alone = {"config": "b", "sampler": "w1", **dict.fromkeys(bench.quality.COLUMNS, 1.0)}
    first, second = bench.quality.summarise([*runs, alone])
    assert (first["config"], first["seeds"], second["seeds"]) == ("a", 2, 1)
    assert first["ratio"] == pytest.approx([0.6, 0.02**0.5])
    assert second["ratio"] == [1.0, None]


def test_steps_in_given_minutes_follow_from_two_short_runs_that_are_made_once(bench, tmp_path, monkeypatch):
    made = []

    def fit(config, folder, steps, *more):
        made.append(steps)
        return 10 + 0.5 * steps

    monkeypatch.setattr(bench.quality, "fit", fit)
    assert [bench.quality.steps_in(minutes, "a.yaml", tmp_path) for minutes in (1, 10)] == [120, 1200]
    assert made == [40, 120]


def test_a_measurement_of_steps_that_was_broken_off_is_begun_anew(bench, tmp_path, monkeypatch):
    (tmp_path / "40").mkdir()
    (tmp_path / "40" / "last.ckpt").touch()

    def fit(config, folder, steps, *more):
        assert not (folder / "last.ckpt").exists()
        return steps

    monkeypatch.setattr(bench.quality, "fit", fit)
    assert bench.quality.steps_in(1, "a.yaml", tmp_path) == 60


def test_a_run_that_is_done_is_not_trained_again(bench, tmp_path, monkeypatch):
    run = bench.quality.Run("a.yaml", 3, ("thai", "greek"), tmp_path)
    kept = dict.fromkeys(bench.quality.COLUMNS, 0.5)
    (tmp_path / "trained").touch()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/metrics.csv").write_text("step,train/loss,val/loss\n0,0.5,\n1,,0.4\n2,,0.25\n")
    (tmp_path / "quality_ddim_7_w2_100_600_4_sets_by_a_reader_of_1500.json").write_text(json.dumps(kept))
    sampler = DDIM(7, guidance=2.0, guidance_interval=[100, 600])
    model = argparse.Namespace(diffusion=GaussianDiffusion(num_steps=1000))
    monkeypatch.setattr(bench.quality, "fit", pytest.fail)
    monkeypatch.setattr(bench.quality.lightning_nsd, "load", lambda path: model)
    monkeypatch.setattr(bench.quality, "choose_sampler", lambda *arguments: sampler)
    arguments = argparse.Namespace(
        guidance=None, guidance_interval=None, sampler=None, sampler_steps=None, sets=4, classifier_steps=1500
    )
    (result,) = bench.quality.measured(run, None, arguments)
    assert (result["config"], result["seed"], result["ratio"]) == ("a.yaml", 3, 0.5)
    assert result["val_loss"] == 0.25
    assert result["sampler"] == "ddim_7_w2_100_600"


def test_configs_are_laid_over_each_other(bench, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        bench.quality.subprocess, "run", lambda command, **_: calls.append(command) or argparse.Namespace(returncode=0)
    )
    bench.quality.fit("glyphs.yaml+some/change.yaml", tmp_path, 7)
    (command,) = calls
    assert [word for word in command if word.startswith("--config")] == [
        "--config=glyphs.yaml",
        "--config=some/change.yaml",
    ]
    assert command.index("--trainer.max_steps=7") > command.index("--config=some/change.yaml")
    assert command.index(f"--trainer.default_root_dir={tmp_path}") > command.index("--config=some/change.yaml")
    assert bench.quality.title("glyphs.yaml+some/change.yaml") == "glyphs+change"


def test_a_training_that_fails_ends_the_comparison_and_names_its_folder(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.quality.subprocess, "run", lambda *_, **__: argparse.Namespace(returncode=2))
    with pytest.raises(SystemExit, match=str(tmp_path)):
        bench.quality.fit("glyphs.yaml", tmp_path, 7)


def test_a_sampler_without_guidance_in_an_interval_is_named_without_one(bench):
    diffusion = GaussianDiffusion(num_steps=20)
    assert bench.quality.describe_sampler(DPMSolverPP(5), diffusion) == "dpm++_5_w1"
    assert bench.quality.describe_sampler(DDPM(), diffusion) == "ddpm_20_w1"


def test_losses_of_several_seeds_are_a_mean_and_a_band(bench, tmp_path):
    from loss_picture import draw_losses, smoothed

    steps, means = smoothed({0: 1.0, 10: 2.0, 20: 3.0, 30: 4.0, 40: 5.0, 50: 12.0})
    assert steps.tolist() == [40, 50]
    assert means.tolist() == pytest.approx([3.0, 5.2])
    files = [tmp_path / f"{seed}.csv" for seed in range(2)]
    for seed, file in enumerate(files):
        file.write_text("step,train/loss\n" + "".join(f"{step},{1 / (1 + step + seed)}\n" for step in range(30)))
    draw_losses({"a": files, "b": files[:1]}, tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as picture:
        assert len(picture.convert("RGB").getcolors(2**20)) > 100
