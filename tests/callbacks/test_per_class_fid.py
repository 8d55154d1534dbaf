"""The evaluation within a run: when it runs, where its figures appear, and that training is the same with it."""

import csv
import json
import math
import os
import signal
import time

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import CSVLogger

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.columns import COLUMNS
from lightning_nsd.loggers.wandb_curve import AXIS, WandbCurve
from lightning_nsd.loggers.wandb_record import read_rows, records
from lightning_nsd.processes.stopping import StoppedError
from tests.callbacks.conftest import make_callback, make_trainer
from tests.evaluation.conftest import (
    FAILS,
    FailsInTheThirdClass,
    InTheThirdClass,
    SizedData,
    make_module,
    read_tables,
)
from tests.training.conftest import assert_same_end, run

# ---- when ----


@pytest.mark.parametrize(("when", "steps"), [("every", [2, 4, 6]), ("last", [6]), ("never", [])])
def test_when(when, steps, tmp_path):
    run(tmp_path, 7, callbacks=[make_callback(when=when, classes=1)], limit_val_batches=1.0, val_check_interval=2)
    found = sorted(path.name for path in tmp_path.glob("distances/*"))
    assert found == [f"val_fd_means_step={step:08d}" for step in steps]


def test_no_evaluation_while_checking_or_without_validation(tmp_path):
    run(tmp_path, 2, callbacks=[make_callback()], limit_val_batches=1.0, val_check_interval=5, num_sanity_val_steps=1)
    run(tmp_path, 2, callbacks=[make_callback()], limit_val_batches=0, val_check_interval=2)
    assert not (tmp_path / "distances").exists()


class Deadline(Callback):
    """Ends training after a step, as Lightning's timer does."""

    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.should_stop or trainer.global_step >= 5


ENDS = {
    "the last step": ([], {}, 8),
    "a step between two evaluations": ([], {"max_steps": 7}, 6),
    "a deadline": ([Deadline()], {}, 5),
    "a deadline without an evaluation": ([Deadline()], {"check_val_every_n_epoch": 50, "val_check_interval": 1.0}, 5),
    "early stopping": ([EarlyStopping("val/loss", min_delta=1e9, patience=1)], {}, 4),
    "the last epoch": (
        [],
        {"max_epochs": 1, "max_steps": -1, "check_val_every_n_epoch": 1, "val_check_interval": 2},
        4,
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_distances_are_computed_once_and_are_among_the_run_s_figures(end, tmp_path):
    callbacks, settings, step = ENDS[end]
    options = {"max_steps": 8, "val_check_interval": 2, **settings}
    distances = make_callback(when="last", num_samples=4)
    trainer = run(tmp_path, callbacks=[*callbacks, distances], limit_val_batches=1.0, **options)
    assert [path.name for path in (tmp_path / "distances").iterdir()] == [f"val_fd_means_step={step:08d}"]
    assert trainer.callback_metrics["val/fd_means/mean"] > 0


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_validate_and_test_report_their_own_split(stage, tmp_path, capsys):
    logger = CSVLogger(str(tmp_path), name="logs")
    trainer = make_trainer(tmp_path, make_callback(when="last"), logger=logger)
    getattr(trainer, stage)(make_module(), SizedData({"a": 12, "b": 12}), verbose=False)
    split = {"validate": "val", "test": "test"}[stage]
    assert f"fd_means of 2 classes ({split}) at step 0" in capsys.readouterr().out
    assert set(read_tables(tmp_path, f"{split}_*")[0]) == {"a", "b"}
    assert f"{split}/fd_means/a" in (tmp_path / "logs" / "version_0" / "metrics.csv").read_text()


# ---- where its figures appear ----

KEYS = {"mean", "median", "worst5", "failed", "floor", "precision", "recall", "n_min", "n_max"}


def read_wandb(root):
    """What an offline run logged, and the files of its artifacts."""
    history, artifacts = [], []
    for path in root.glob("wandb/offline-run-*/run-*.wandb"):
        history += read_rows(path)
        for record, _ in records(path.read_bytes()):
            artifacts += [entry.path for entry in record.artifact.manifest.contents]
    return history, artifacts


@pytest.mark.smoke
def test_the_distance_reaches_wandb_with_its_table_and_chart(tmp_path):
    logger = WandbCurve(project="test", save_dir=str(tmp_path), offline=True)
    trainer = run(tmp_path, 2, callbacks=[make_callback()], limit_val_batches=1.0, val_check_interval=2, logger=logger)
    logger.experiment.finish()
    deadline = time.monotonic() + 30
    while not (found := read_wandb(tmp_path))[0] and time.monotonic() < deadline:
        time.sleep(0.1)  # the file is whole only when W&B's own process has ended
    history, pictures = found
    logged = {key: value for items in history for key, value in items.items()}
    rows, _ = read_tables(tmp_path)
    for key in KEYS | {f"val_{i}" for i in range(8)}:
        assert f"val/fd_means/{key}" in logged
    assert "val/kd_means/mean" in logged
    for name, row in rows.items():
        assert logged[f"val/fd_means/{name}"] == pytest.approx(float(row["fd_means"]), rel=1e-12)
    assert logged["val/fd_means/mean"] == pytest.approx(float(trainer.callback_metrics["val/fd_means/mean"]), rel=1e-5)
    assert logged["val/fd_means/chart"]["_type"].startswith("images")
    table = logged["val/fd_means/table"]
    columns = sum(not column.optional for column in COLUMNS) + 1  # and the pictures
    assert (table["_type"], table["nrows"], table["ncols"]) == ("table-file", 8, columns)
    path = next(tmp_path.glob("wandb/offline-run-*")) / "files" / table["path"]
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["columns"][:4] == ["class", "images", "n", "fd_means"]
    assert {"kd_means", "recognised", "originality"} <= set(content["columns"])
    assert [line[0] for line in content["data"]] == [f"val_{i}" for i in range(8)]
    assert len([name for name in pictures if name.startswith("media/images/")]) == 8
    for key in ("val/fd_means/mean", "val/loss"):
        assert [items[AXIS] for items in history if key in items] == [2]


def test_without_any_logger_it_is_computed_printed_and_in_the_csv(tmp_path, capsys):
    run(tmp_path, 2, callbacks=[make_callback()], limit_val_batches=1.0, val_check_interval=2, logger=False)
    said = capsys.readouterr().out
    rows, found = read_tables(tmp_path)
    assert "fd_means of 8 classes (val) at step 2" in said
    assert f"{found['summary']['mean']:.4g}" in said
    assert "val_fd_means_step=00000002/per_class.csv" in said
    assert all(float(row["fd_means"]) > 0 for row in rows.values())


def test_the_csv_logger_has_every_class(tmp_path):
    logger = CSVLogger(str(tmp_path), name="logs")
    run(tmp_path, 4, callbacks=[make_callback()], limit_val_batches=1.0, val_check_interval=2, logger=logger)
    with (tmp_path / "logs" / "version_0" / "metrics.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["val/fd_means/mean"]]
    assert [line["step"] for line in lines] == ["2", "4"]
    rows, _ = read_tables(tmp_path)
    for name, row in rows.items():
        assert float(lines[-1][f"val/fd_means/{name}"]) == float(row["fd_means"])


def test_mixtures_are_of_the_training_and_of_the_held_out_classes(tmp_path):
    logger = CSVLogger(str(tmp_path), name="logs")
    trainer = make_trainer(tmp_path, make_callback(mixture_samples=20), logger=logger)
    trainer.validate(make_module(), SizedData({"a": 12, "b": 16}), verbose=False)
    rows, found = read_tables(tmp_path)
    assert [(row["class"], row["images"], row["n"]) for row in found["mixture"]] == [
        ("mixture_in", 28, 20), ("mixture_out", 28, 20),
    ]  # fmt: skip
    assert "mixture_in" in rows
    text = (tmp_path / "logs" / "version_0" / "metrics.csv").read_text()
    assert "val/fd_means/mixture_in" in text and "val/fd_means/mixture_out" in text


# ---- what goes wrong ----


def test_mistakes_are_said_before_training(tmp_path):
    with pytest.raises(UserError, match="no extractor glyphnett"):
        make_callback(extractor="glyphnett")
    with pytest.raises(UserError, match=r"no class nosuch\. The val split holds val_0, val_1"):
        run(tmp_path, 2, callbacks=[make_callback(classes=["nosuch"])], limit_val_batches=1.0, val_check_interval=2)
    with pytest.raises(UserError, match="classes is 0"):
        run(tmp_path, 2, callbacks=[make_callback(classes=0)], limit_val_batches=1.0, val_check_interval=2)


def test_training_goes_on_after_a_failure(tmp_path):
    FailsInTheThirdClass.arm(classes=8)
    callback = make_callback(extractor=FAILS)
    trainer = run(tmp_path, 4, callbacks=[callback], limit_val_batches=1.0, val_check_interval=2)
    assert trainer.global_step == 4
    assert trainer.callback_metrics["val/fd_failsinthethirdclass/failed"] == 0  # of the second evaluation
    assert trainer.callback_metrics["val/fd_failsinthethirdclass/mean"] > 0


def test_an_extractor_that_cannot_be_loaded_is_said_before_training_and_counted(tmp_path, caplog):
    callback = make_callback(extractor="inception", extractor_args={"weights_path": "nosuch.pth"})
    with pytest.warns(UserWarning, match=r"No distance will be computed unless this is mended .*Get it from https"):
        trainer = run(tmp_path, 2, callbacks=[callback], limit_val_batches=1.0, val_check_interval=2)
    assert trainer.global_step == 2
    assert trainer.callback_metrics["val/fid/failed"] == 8
    assert math.isnan(trainer.callback_metrics["val/fid/mean"])
    assert "Traceback" in caplog.text
    strict = make_callback(extractor="inception", extractor_args={"weights_path": "nosuch.pth"}, strict=True)
    with pytest.raises(UserError, match="no weights at"):
        run(tmp_path, 2, callbacks=[strict], limit_val_batches=1.0, val_check_interval=2)


class InterruptsInTheThirdClass(InTheThirdClass):
    def happens(self):
        os.kill(os.getpid(), signal.SIGINT)


INTERRUPTS = "tests.callbacks.test_per_class_fid.InterruptsInTheThirdClass"


def test_an_interrupted_evaluation_leaves_a_checkpoint_and_a_readable_partial_table(tmp_path):
    InterruptsInTheThirdClass.arm(classes=8)
    callback = make_callback(extractor=INTERRUPTS, batch_size=3)
    with pytest.raises(StoppedError):
        run(tmp_path, 4, callbacks=[callback], limit_val_batches=1.0, val_check_interval=2)
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 2
    rows, found = read_tables(tmp_path)
    assert list(rows) == ["val_0", "val_1", "val_2"]
    assert not found["complete"]
    assert found["summary"]["mean"] > 0
    assert not list(tmp_path.rglob("*.tmp"))


# ---- training and evaluation leave each other alone ----


def test_training_is_the_same_to_the_bit_with_an_evaluation_every_ten_steps(tmp_path):
    run(tmp_path / "plain", 20)
    callback = make_callback(splits=["val", "train"], mixture_samples=10, bits_samples=2, bits_timesteps=5)
    torch.manual_seed(123)
    run(tmp_path / "watched", 20, callbacks=[callback], limit_val_batches=1.0, val_check_interval=10)
    assert_same_end(tmp_path / "plain", tmp_path / "watched")
    assert len(list((tmp_path / "watched" / "distances").iterdir())) == 4


def test_a_checkpoint_alone_gives_the_value_of_its_training(tmp_path):
    callback = make_callback(when="last")
    trainer = run(tmp_path / "a", 4, callbacks=[callback], limit_val_batches=1.0, val_check_interval=4)
    again = make_trainer(tmp_path / "b", make_callback())
    again.validate(trainer.lightning_module, trainer.datamodule, verbose=False)
    first, second = (
        next(root.glob("distances/*/per_class.csv")).read_bytes() for root in (tmp_path / "a", tmp_path / "b")
    )
    assert first == second
