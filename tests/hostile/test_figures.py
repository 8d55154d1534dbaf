"""Figures, pictures and evaluation: places that cannot be written, loggers that fail, settings that do not fit."""

import csv
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger
from PIL import Image
from torch import Tensor, nn

from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.callbacks.prediction_writer import inside
from lightning_nsd.callbacks.sample_grid import SampleGrid
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.feature_distances import FeatureDistances
from lightning_nsd.extractors.feature_cache import FeatureCache
from tests.callbacks.conftest import make_callback
from tests.cli.conftest import TINY
from tests.conftest import StripedData, make_model, tiny_dit
from tests.evaluation.conftest import MEANS, evaluate
from tests.hostile.answer import assert_refused
from tests.metrics.conftest import make_bytes, make_extractor
from tests.training.conftest import run

FIT = [*TINY, "--trainer.num_sanity_val_steps=0", "--checkpoint.every_n_train_steps=2", "--data.batch_size=1",
       "--trainer.default_root_dir=run", "--trainer.callbacks.init_args.num_images=1"]  # fmt: skip
RUN = Path("run")


def fit(answer, *options, steps=2):
    return answer("fit", *FIT, f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={steps}", *options)


def figures(column, path=RUN / "logs" / "metrics.csv"):
    """Step and figure of every line that has one."""
    with path.open(newline="") as file:
        return [(int(row["step"]), float(row[column])) for row in csv.DictReader(file) if row.get(column)]


# ---- what is shown may fail ----


class FullDisk(Logger):
    """Raises in one of its methods, or in all."""

    def __init__(self, method: str = "") -> None:
        super().__init__()
        self.method = method

    name, version = "full", 0

    def _write(self, method: str) -> None:
        if self.method in ("", method):
            raise OSError(28, "No space left on device", "figures")

    def log_hyperparams(self, *_: Any, **__: Any) -> None: ...

    def log_metrics(self, *_: Any, **__: Any) -> None:
        self._write("log_metrics")

    def log_image(self, *_: Any, **__: Any) -> None:
        self._write("log_image")

    def log_table(self, *_: Any, **__: Any) -> None:
        self._write("log_table")

    def save(self) -> None:
        self._write("save")

    def finalize(self, status: str) -> None:
        self._write("finalize")


def assert_trained(given, steps=2):
    assert given.status == 0, given.said
    assert "Traceback" not in given.said
    assert read_checkpoint(RUN / "last.ckpt")["global_step"] == steps


def test_a_logger_that_fails_at_everything_does_not_end_training(answer):
    with pytest.warns(UserWarning, match="FullDisk") as warned:
        given = fit(answer, "--trainer.logger=tests.hostile.test_figures.FullDisk", "--fid.splits=[val]")
    assert_trained(given)
    said = [str(warning.message) for warning in warned if "FullDisk" in str(warning.message)]
    for method in ("log_metrics", "save", "log_image", "log_table", "finalize"):
        assert len([text for text in said if f"FullDisk ({method})" in text]) == 1, said
    assert all("figures: No space left on device" in text for text in said)
    assert figures("train/loss")


def test_a_logger_that_takes_no_arguments_is_taken(answer):
    assert_trained(fit(answer, "--trainer.logger=lightning.pytorch.loggers.logger.DummyLogger"))


@pytest.mark.parametrize("folder", ["logs", "samples", "distances"])
def test_a_folder_that_cannot_be_written_does_not_end_training(folder, answer):
    RUN.mkdir()
    (RUN / folder).write_text("in the way")
    with pytest.warns(UserWarning, match="could not be written or shown") as warned:
        given = fit(answer, "--fid.splits=[val]")
    assert_trained(given)
    said = [str(warning.message) for warning in warned if "could not be written or shown" in str(warning.message)]
    assert any(folder in text for text in said)
    assert len(said) == len(set(said)) <= 3  # `logs` has the figures, the history and what the report is of


class Interrupted(SampleGrid):
    def picture(self, *_: Any) -> Image.Image:
        raise KeyboardInterrupt


class CannotDraw(SampleGrid):
    def picture(self, *_: Any) -> Image.Image:
        raise RuntimeError("out of memory, say")


def test_a_picture_that_cannot_be_drawn_is_a_warning_and_ctrl_c_in_it_is_not(tmp_path):
    settings: dict[str, Any] = {"limit_val_batches": 1, "val_check_interval": 1}
    with pytest.warns(UserWarning, match="out of memory, say") as warned:
        trainer = run(tmp_path / "a", 3, callbacks=[CannotDraw()], **settings)
    assert trainer.global_step == 3
    assert len([warning for warning in warned if "picture of samples" in str(warning.message)]) == 1
    with pytest.raises(SystemExit):
        run(tmp_path / "b", 3, callbacks=[Interrupted()], **settings)
    assert read_checkpoint(tmp_path / "b" / "last.ckpt")["global_step"] == 1


def test_distances_that_cannot_be_written_are_printed_and_end_evaluate_with_2(answer):
    for side in ("real", "generated"):
        for i in range(4):
            picture = Path(side, "a", f"{i}.png")
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(i).integers(0, 256, (32, 32), dtype=np.uint8)).save(picture)
    Path("out").mkdir()
    Path("out", "distances").write_text("in the way")
    given = answer("evaluate", "--real_dir=real", "--generated_dir=generated", "--extractor=glyphnet", "--out=out")
    assert_refused(given, "out", "--out")


# ---- one curve ----


def test_a_run_that_goes_back_to_a_checkpoint_has_each_step_once_and_each_evaluation_at_its_step(answer):
    options = ["--fid.splits=[val]", "--fid.when=every", "--trainer.val_check_interval=2", "--trainer.callbacks=null"]
    assert_trained(fit(answer, *options, steps=4), 4)
    losses, whole = figures("train/loss"), (RUN / "logs" / "metrics.csv").read_text()
    assert [step for step, _ in losses] == [0, 1, 2, 3]
    assert [step for step, _ in figures("val/loss")] == [2, 4]
    assert [step for step, _ in figures("val/fd_glyphnet/mean")] == [2, 4]
    for name in ("step=00000002.ckpt", "step=00000004.ckpt"):
        assert_trained(fit(answer, *options, f"--ckpt_path=run/checkpoints/{name}", steps=4), 4)
        resumed = figures("train/loss")
        assert resumed == losses
        assert [step for step, _ in figures("val/loss")] == [2, 4]
    assert (RUN / "logs" / "metrics.csv").read_text() == whole


# ---- evaluation and its seeds ----


class Seen(Callback):
    """Keeps the images and the number of every training batch."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, Tensor]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append((batch.number, batch.images.clone()))


@pytest.mark.parametrize("repeated", [1, 2])
def test_overfit_batches_repeats_the_first_episodes_with_new_noise(repeated, tmp_path):
    seen = Seen()
    run(tmp_path, 5, callbacks=[seen], overfit_batches=repeated)
    numbers, images = zip(*seen.batches, strict=True)
    assert numbers == tuple(range(5))  # the key of noise and timesteps
    for i in range(5):
        assert torch.equal(images[i], images[i % repeated])
    assert repeated == 1 or not torch.equal(images[0], images[1])


def test_runs_of_two_seeds_train_on_other_episodes_and_are_evaluated_on_the_same(tmp_path):
    first, second = StripedData(seed=0), StripedData(seed=1)
    assert torch.equal(first.evaluation_batch("val", 0).images, second.evaluation_batch("val", 0).images)
    assert not torch.equal(first.training_batch(0).images, second.training_batch(0).images)
    tables = []
    for seed in (0, 1):
        sizes = dict.fromkeys("abcdefgh", 12)
        rows, _ = evaluate(tmp_path / str(seed), sizes, {"seed": seed}, classes=3)
        tables.append(rows)
    assert tables[0] == tables[1]
    other, _ = evaluate(tmp_path / "other", sizes, {"eval_seed": 1}, classes=3)
    assert other != tables[0]
    losses = []
    for seed in (0, 1):
        model = make_model()
        model.seed = seed
        trainer = run(tmp_path / f"loss{seed}", 1, model, limit_val_batches=1.0, val_check_interval=1,
                      data={"seed": 0})  # fmt: skip
        model.load_state_dict(make_model().state_dict())
        losses.append(trainer.validate(model, StripedData(seed=seed), verbose=False)[0]["val/loss"])
    assert losses[0] == losses[1]


# ---- settings that do not go together ----

CLASSES = [
    (["val_0", "val_l"], "val_l (is val_7 meant?)"),
    (["nosuch"], "nosuch"),
    (["val_0", "nosuch", "neither"], "neither, nosuch"),
    (["train_0"], "None of the classes train_0 is in the val split"),
]


@pytest.mark.parametrize(("classes", "named"), CLASSES)
def test_a_class_that_is_not_there_is_named_before_training(classes, named, tmp_path):
    with pytest.raises(UserError) as refused:
        run(tmp_path, 1, callbacks=[make_callback(classes=classes)], limit_val_batches=1.0, val_check_interval=1)
    assert named in str(refused.value)
    assert not (tmp_path / "last.ckpt").exists()


def test_classes_of_several_splits_may_be_named_together(tmp_path):
    callback = make_callback(classes=["val_0", "test_1"], splits=["val", "test"])
    run(tmp_path, 1, callbacks=[callback], limit_val_batches=1.0, val_check_interval=1)
    names = {path.parent.name.split("_")[0]: path.read_text() for path in tmp_path.glob("distances/*/per_class.csv")}
    assert "val_0" in names["val"] and "test_1" not in names["val"]
    assert "test_1" in names["test"] and "val_0" not in names["test"]


@pytest.mark.parametrize("model", [{"context_dropout": 0.0}, {"encoder": None, "context_dropout": 0.0}])
def test_guidance_of_the_distances_without_a_null_context_is_refused_before_training(model, tmp_path):
    if "encoder" in model:
        model = {**model, "denoiser": partial(tiny_dit, conditioning="none")}
    callback = PerClassFID(extractor=MEANS, num_samples=4, sampler=DDIM(2, guidance=2.0))
    with pytest.raises(UserError, match=r"fid\.sampler\.guidance is 2\.0.*null context"):
        run(tmp_path, 1, make_model(**model), callbacks=[callback], limit_val_batches=1.0, val_check_interval=1)
    assert not (tmp_path / "last.ckpt").exists()


class Constant(nn.Module):
    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value = value

    def forward(self, images: Tensor) -> Tensor:
        return torch.full((len(images), 4), self.value)


@pytest.mark.parametrize("value", [0.0, 1.0, -1e30, math.nan, math.inf])
def test_an_extractor_that_tells_nothing_apart_gives_nan_and_a_reason(value, tmp_path):
    path = "tests.hostile.test_figures.Constant"
    rows, found = evaluate(tmp_path, {"a": 12}, extractor=path, extractor_args={"value": value})
    assert math.isnan(float(rows["a"]["fd_constant"])) and math.isnan(float(rows["a"]["precision"]))
    assert "same features" in rows["a"]["reason"] or "not finite" in rows["a"]["reason"]
    assert found["summary"]["failed"] == 1


def test_the_images_column_of_two_folders_counts_what_is_there(answer):
    for side, number in (("real", 11), ("generated", 3)):
        for i in range(number):
            picture = Path(side, "a", f"{i}.png")
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(i).integers(0, 256, (32, 32), dtype=np.uint8)).save(picture)
    given = answer("evaluate", "--real_dir=real", "--generated_dir=generated", "--extractor=glyphnet")
    assert given.status == 0, given.said
    table = list(csv.DictReader(next(Path("distances").glob("*/per_class.csv")).open()))
    assert (table[0]["images"], table[0]["n"]) == ("11", "3")


# ---- commands that keep nothing, or use an untrained model ----


def test_predict_keeps_an_image_of_every_episode_and_says_that_the_model_is_untrained(answer):
    with pytest.warns(UserWarning, match="predict uses an untrained model"):
        given = answer("predict", *FIT, "--predictions.npz=true", "--data.eval_episodes=5", "--data.batch_size=2")
    assert given.status == 0, given.said
    folder = RUN / "predictions" / "step=00000000"
    pictures = sorted(folder.rglob("*.png"), key=lambda path: path.name)
    assert [path.name for path in pictures] == [f"{i:05d}.png" for i in range(5)]
    assert all(path.relative_to(folder).parts[0] == "hebrew" for path in pictures)
    with np.load(folder / "samples_5x8x8x1.npz") as found:
        array = found["arr_0"]
    assert array.dtype == np.uint8 and list(found.files) == ["arr_0"]
    for path, image in zip(pictures, array, strict=True):
        assert np.array_equal(np.array(Image.open(path)), image[:, :, 0])
    answer("predict", *FIT)
    assert len(list(folder.rglob("*.png"))) == 5
    assert len(list((RUN / "predictions" / "step=00000000_2").rglob("*.png"))) == 3


@pytest.mark.parametrize("name", ["../../out", "/etc/out", "a/../../b", "..", "a\\b\0c\n", "x" * 300, ""])
def test_the_name_of_a_class_never_leads_out_of_the_folder(name, tmp_path):
    path = (tmp_path / inside(name) / "0.png").resolve()
    assert path.is_relative_to(tmp_path.resolve())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")


@pytest.mark.parametrize("command", ["validate", "test"])
def test_an_untrained_model_is_evaluated_with_a_warning(command, answer):
    with pytest.warns(UserWarning, match=f"{command} uses an untrained model"):
        given = answer(command, *FIT, "--fid.when=never", "--trainer.callbacks=null", "--data.eval_episodes=1")
    assert given.status == 0, given.said


# ---- the cache ----


def test_the_cache_is_bounded_and_forgets_what_was_used_least_recently(tmp_path):
    extractor, sets = make_extractor(), [make_bytes(10, seed=seed) for seed in range(4)]
    FeatureCache(tmp_path).features(extractor, sets[0], "cpu", 8)
    size = next(tmp_path.iterdir()).stat().st_size
    cache = FeatureCache(tmp_path, max_bytes=3 * size)
    (tmp_path / ".killed.npz.1.tmp").write_bytes(b"?" * size)
    for images in (sets[1], sets[0], sets[2]):
        cache.features(extractor, images, "cpu", 8)
    assert not list(tmp_path.glob(".*.tmp")) or len(list(tmp_path.iterdir())) <= 3
    cache.features(extractor, sets[3], "cpu", 8)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * size
    calls = extractor.network.calls
    cache.features(extractor, sets[0], "cpu", 8)  # used after sets[1]
    assert extractor.network.calls == calls
    cache.features(extractor, sets[1], "cpu", 8)
    assert extractor.network.calls > calls


def test_distances_are_the_same_with_the_cache_and_without(tmp_path):
    real, generated = make_bytes(20), make_bytes(12, seed=1)
    found = []
    for cache in (None, FeatureCache(tmp_path), FeatureCache(tmp_path)):
        metric = FeatureDistances(make_extractor(), cache)
        metric.update(real, real=True)
        metric.update(generated, real=False)
        found.append(metric.compute())
    assert found[0] == found[1] == found[2]
