"""Outcomes of both frameworks: the statistics, and a whole comparison of tiny runs that goes on where it stopped."""

import argparse
import json
import random
from statistics import variance

import pytest
import yaml
from lightning.pytorch import Trainer
from PIL import Image
from scipy import stats

from jax_reference.train import write_metrics
from lightning_nsd.checkpoints.loading import build_model


@pytest.fixture(scope="module")
def bench():
    import agreement
    import outcome

    return argparse.Namespace(agreement=agreement, outcome=outcome, train=outcome.train)


def test_an_interval_is_students(bench):
    found = bench.agreement.interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    with pytest.raises(ValueError, match="two values"):
        bench.agreement.interval([1.0])


def test_the_difference_is_welchs(bench):
    a, b = [1.0, 2.0, 4.0, 3.5], [2.0, 5.0, 9.0]
    apart, p = bench.agreement.difference(a, b)
    errors = [variance(side) / len(side) for side in (a, b)]
    freedom = sum(errors) ** 2 / (errors[0] ** 2 / 3 + errors[1] ** 2 / 2)  # Welch's, and Satterthwaite's
    assert apart.mean == pytest.approx(sum(a) / 4 - sum(b) / 3)
    assert apart.half == pytest.approx(stats.t.ppf(0.975, freedom) * sum(errors) ** 0.5)
    assert p == pytest.approx(2 * stats.t.sf(abs(apart.mean) / sum(errors) ** 0.5, freedom))
    with pytest.raises(ValueError, match="finite"):
        bench.agreement.difference(a, [1.0, float("nan")])


def test_equal_sides_agree_in_all_figures_in_nineteen_of_twenty_comparisons(bench):
    draw = random.Random(0)

    def side():
        return {f"figure {i}": [draw.gauss(0, 1) for _ in range(3)] for i in range(6)}

    differ = sum(not all(one.agree for one in bench.agreement.compare(side(), side()).values()) for _ in range(400))
    assert 0 < differ <= 0.05 * 400


def test_sides_that_differ_in_one_figure_disagree_in_it_alone(bench):
    ours = {"a": [1.0, 1.1, 0.9], "b": [5.0, 5.1, 4.9]}
    found = bench.agreement.compare(ours, {"a": [1.05, 0.95, 1.0], "b": [4.0, 4.1, 3.9]})
    assert [name for name, one in found.items() if not one.agree] == ["b"]
    assert found["b"].difference.mean == pytest.approx(1.0)
    with pytest.raises(ValueError, match="only one side has b"):
        bench.agreement.compare(ours, {"a": [1.0, 2.0]})


def test_a_small_difference_among_many_figures_may_be_chance(bench):
    seen, other = [1.0, 1.1, 0.9], [1.25, 1.35, 1.15]  # p is 0.038
    noise = {f"figure {i}": [0.0, 1.0, 2.0] for i in range(5)}
    assert not bench.agreement.compare({"a": seen}, {"a": other})["a"].agree
    assert bench.agreement.compare({"a": seen, **noise}, {"a": other, **noise})["a"].agree


CONTENT = {
    "trainer": {"gradient_clip_val": 1.0},
    "data": {"class_path": "Glyphs", "init_args": {"image_size": 8, "n_shot": 2}},
    "model": {
        "denoiser": {"class_path": "DiT", "init_args": {"patch_size": 4, "hidden_size": 8, "depth": 1,
                                                         "num_heads": 2, "conditioning": "film"}},
        "encoder": {"class_path": "SetViT", "init_args": {"patch_size": 4, "context_dim": 8, "hidden_size": 8,
                                                           "depth": 1, "num_heads": 2, "head_dim": 4}},
        "diffusion": {"num_steps": 20},
        "sampler": {"class_path": "DDIM", "init_args": {"num_steps": 2}},
    },
    "fid": {"when": "never"},
}  # fmt: skip


def write_checkpoint(run, config):
    """In place of a training: a checkpoint of fresh weights of the run's seed, and two losses."""
    content = yaml.safe_load(config.read_text())
    settings = {**content["model"], "image_size": 8, "channels": 1, "n_shot": 2, "seed": content["seed_everything"]}
    module = build_model(settings, "the test")
    write_metrics(run.folder / "run" / "metrics.csv", {"step": 0, "train/loss": 1.0 + run.seed})
    checkpoint = run.folder / "last.ckpt"
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", max_steps=1)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(checkpoint)
    return checkpoint


def compare(bench, folder, *more):
    """A comparison of tiny runs, judged by six letters: the folder, the arguments that made it, its status."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONTENT))
    arguments = [f"--config={folder / 'tiny.yaml'}", "--steps=2", "--batch_size=2", "--seeds=2", "--sets=1",
                 "--classifier_steps=1", f"--output={folder / 'out'}", *more]  # fmt: skip
    return argparse.Namespace(status=bench.outcome.main(arguments), folder=folder / "out", arguments=arguments)


@pytest.fixture(scope="module")
def quick(bench):
    """Few letters, few steps."""

    class Judge(bench.outcome.Judge):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.held_out = self.held_out[:6]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.outcome, "SAMPLER_STEPS", 2)
        patch.setattr(bench.outcome, "VAL_EPISODES", 4)
        patch.setattr(bench.outcome, "Judge", Judge)
        yield patch


@pytest.fixture(scope="module")
def compared(bench, quick, tmp_path_factory):
    quick.setattr(bench.outcome, "train", write_checkpoint)
    return compare(bench, tmp_path_factory.mktemp("outcome"))


@pytest.mark.campaign
def test_both_frameworks_are_trained_and_what_is_trained_is_not_trained_again(bench, quick, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(bench.outcome, "train", bench.train)
        first = compare(bench, tmp_path)
        report = json.loads((first.folder / "outcome.json").read_text())
        assert len({loss for side in report["runs"].values() for loss in side["training loss"]}) == 4
        (first.folder / "jax_1" / "figures.json").unlink()
        patch.setattr(bench.outcome.subprocess, "run", lambda *_, **__: pytest.fail("a run was trained again"))
        compare(bench, tmp_path, "--resume")
        assert json.loads((first.folder / "outcome.json").read_text()) == report


def test_every_run_has_a_seed_of_its_own_and_every_figure_is_compared(compared):
    report = json.loads((compared.folder / "outcome.json").read_text())
    assert set(report["figures"]) == {
        "read right", "originality", "diversity", "distance per class", "training loss", "validation loss",
    }  # fmt: skip
    assert {side: found["training loss"] for side, found in report["runs"].items()} == {
        "torch": [1.0, 3.0],
        "jax": [2.0, 4.0],
    }
    assert compared.status == (0 if all(one["agree"] for one in report["figures"].values()) else 1)
    with Image.open(compared.folder / "outcome.png") as picture:
        assert min(picture.size) > 300


def test_both_sides_train_the_same_config(compared):
    read = [yaml.safe_load((compared.folder / name / "config.yaml").read_text()) for name in ("torch_0", "jax_1")]
    for content in read:
        del content["seed_everything"], content["trainer"]["default_root_dir"]
    assert read[0] == read[1]


def test_resuming_trains_and_judges_nothing_again(bench, compared, monkeypatch):
    before = {path: path.read_bytes() for path in compared.folder.glob("*/figures.json")}
    assert len(before) == 4
    monkeypatch.setattr(bench.outcome, "train", lambda *_: pytest.fail("a run was trained again"))
    assert bench.outcome.main([*compared.arguments, "--resume"]) == compared.status
    assert {path: path.read_bytes() for path in compared.folder.glob("*/figures.json")} == before


def test_a_side_that_is_worse_is_a_failure(bench, compared, monkeypatch, capsys):
    for run in bench.outcome.runs_of(compared.folder, 2):
        kept = run.folder / "figures.json"
        found = json.loads(kept.read_text())
        kept.write_text(json.dumps({**found, "read right": 0.9 + 0.001 * run.seed - 0.5 * (run.side == "jax")}))
    assert bench.outcome.main([*compared.arguments, "--resume"]) == 1
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "read right" in line)
    assert "DIFFER" in line


def test_a_folder_with_runs_is_not_written_over(bench, compared):
    with pytest.raises(SystemExit, match="go on with --resume"):
        bench.outcome.main(compared.arguments)
    with pytest.raises(SystemExit, match="steps is 2 there"):
        bench.outcome.main([*compared.arguments, "--steps=3", "--resume"])


def test_one_run_a_side_is_refused(bench, tmp_path, capsys):
    with pytest.raises(SystemExit):
        bench.outcome.main(["--seeds=1", f"--output={tmp_path / 'out'}"])
    assert "--seeds" in capsys.readouterr().err
