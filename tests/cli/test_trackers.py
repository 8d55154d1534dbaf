"""Trackers beside a run from the command line: several at once, killed runs, runs that begin anew or go back."""

import json
import signal
import time

import pytest

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.loggers.metrics_file import read_rows
from lightning_nsd.loggers.wandb_record import files_of, read_record
from lightning_nsd.runs.trackers import read_trackers
from tests.cli.conftest import TINY, start
from tests.loggers.stores import STORES, finish_wandb, names

SHORT = [*TINY, "--trainer.num_sanity_val_steps=0", "--model.lr_schedule.annealing=none", "--fid.when=never"]
OVERLAYS = {
    "wandb": "WandbCurve",
    "tensorboard": "TensorBoardCurve",
    "mlflow": "MLflowCurve",
    "trackio": "TrackioCurve",
}


def steps_of(root, tracker, run_id=None):
    return STORES[tracker](root, run_id or names(root)[tracker])


@pytest.mark.smoke
def test_several_trackers_at_once_have_figures_pictures_table_and_chart(nsd, tmp_path):
    overlays = [f"--config={name}.yaml" for name in OVERLAYS]
    status, said = nsd("fit", *TINY, *overlays, "--trainer.num_sanity_val_steps=0", "--trainer.max_steps=2",
                       "--trainer.val_check_interval=2", f"--trainer.default_root_dir={tmp_path}")  # fmt: skip
    assert status == 0, said
    assert "could not be written or shown" not in said
    finish_wandb(tmp_path)
    assert set(names(tmp_path)) == set(OVERLAYS.values())
    written = {key for row in read_rows(tmp_path / "logs" / "metrics.csv") for key in row} - {"step"}
    pictures = {f"samples/{split}" for split in ("train", "val", "test")} | {"val/fd_glyphnet/chart"}
    for tracker in OVERLAYS.values():
        found = steps_of(tmp_path, tracker)
        assert written | pictures <= set(found), tracker
        assert found["train/loss"] == [0, 1] and found["val/loss"] == found["samples/val"] == [2]
    assert steps_of(tmp_path, "WandbCurve")["val/fd_glyphnet/table"] == [2]
    assert steps_of(tmp_path, "TrackioCurve")["val/fd_glyphnet/table"] == [2]
    assert {"val/fd_glyphnet/table/text_summary", "val/fd_glyphnet/table/pictures"} <= set(
        steps_of(tmp_path, "TensorBoardCurve")
    )
    page = next(tmp_path.glob("mlflow/*/artifacts/val/fd_glyphnet/table_step=00000002.html")).read_text("utf-8")
    assert page.count("georgian/") == page.count("<img src=") == 2


@pytest.mark.campaign
def test_a_run_that_was_killed_twice_is_one_curve_without_a_gap(tmp_path, monkeypatch):
    """kill -9 of real processes, at moments of their own; W&B's file is then seconds behind."""
    monkeypatch.delenv("WANDB_SERVICE", raising=False)  # of an earlier test, which would outlive the run
    run = [*SHORT, "--config=wandb.yaml", "--config=trackio.yaml", "--checkpoint.every_n_train_steps=5",
           "--trainer.callbacks=[]", "--trainer.val_check_interval=6",
           f"--trainer.default_root_dir={tmp_path}"]  # fmt: skip
    for resumes, until in enumerate((8, 17)):
        process = start("fit", *run, "--trainer.max_steps=10000", *(["--ckpt_path=last"] if resumes else []))
        deadline = time.monotonic() + 120
        while logged(tmp_path) < until:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    end = logged(tmp_path) + 4
    process = start("fit", *run, f"--trainer.max_steps={end}", "--ckpt_path=last")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    ids = names(tmp_path)
    assert read_checkpoint(tmp_path / "last.ckpt")["trackers"] == ids
    for tracker in ("WandbCurve", "TrackioCurve"):
        found = steps_of(tmp_path, tracker)
        assert found["train/loss"] == list(range(end)), tracker
        assert found["val/loss"] == list(range(6, end + 1, 6)), tracker
    record = read_record(files_of(tmp_path / "wandb", ids["WandbCurve"]))
    rows = read_rows(tmp_path / "logs" / "metrics.csv")
    for key in ("train/loss", "val/loss"):
        logged_last = [float(row[key]) for row in rows if key in row]
        assert record.summary[key] == logged_last[-1]
        assert [row[key] for row in record.rows if key in row] == logged_last


def logged(root):
    return max((row["step"] for row in read_rows(root / "logs" / "metrics.csv")), default=-1)


@pytest.fixture
def fit(nsd, tmp_path):
    """Trains, with the logger that configs of earlier versions name, and gives W&B's id of the run."""

    def call(*options):
        status, said = nsd("fit", *SHORT, "--trainer.logger=WandbLogger", "--trainer.logger.project=lightning-nsd",
                           "--trainer.limit_val_batches=0", "--checkpoint.every_n_train_steps=2",
                           "--checkpoint.keep=4", f"--trainer.default_root_dir={tmp_path}", *options)  # fmt: skip
        assert status == 0, said
        finish_wandb(tmp_path)
        return names(tmp_path)["WandbCurve"]

    return call


def test_the_run_s_id_follows_the_run(fit, tmp_path):
    first = fit("--trainer.max_steps=6")
    (tmp_path / ".run" / "trackers").unlink()
    assert fit("--trainer.max_steps=7", "--ckpt_path=last") == first  # as the checkpoint says
    assert steps_of(tmp_path, "WandbCurve")["train/loss"] == list(range(7))

    back = fit("--trainer.max_steps=5", f"--ckpt_path={tmp_path / 'checkpoints' / 'step=00000004.ckpt'}")
    assert back != first
    assert names(tmp_path / "earlier-1") == {"WandbCurve": first}
    assert steps_of(tmp_path, "WandbCurve")["train/loss"] == list(range(5))
    assert steps_of(tmp_path, "WandbCurve", first)["train/loss"] == list(range(7))

    anew = fit("--trainer.max_steps=2")
    assert anew not in (first, back)
    assert names(tmp_path / "earlier-2") == {"WandbCurve": back}
    assert steps_of(tmp_path / "earlier-2", "WandbCurve")["train/loss"] == list(range(5))
    assert steps_of(tmp_path, "WandbCurve")["train/loss"] == list(range(2))
    assert {path.name[-8:] for path in (tmp_path / "wandb").glob("offline-run-*")} == {anew}


@pytest.mark.parametrize("content", ["[", "[1]", '{"WandbCurve": "../../elsewhere"}', '{"WandbCurve": 3}'])
def test_a_record_of_names_that_is_none_is_passed_over(content, tmp_path):
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "trackers").write_text(content)
    assert read_trackers(tmp_path) == {}


def test_a_config_s_one_logger_and_overlays_are_a_list(nsd, tmp_path):
    (tmp_path / "mine.yaml").write_text(json.dumps({"trainer": {"logger": {"class_path": "WandbLogger"}}}))
    status, said = nsd("fit", *TINY, "--config=mine.yaml", "--config=tensorboard.yaml", "--print_config")
    assert status == 0
    assert said.index("WandbLogger") < said.index("TensorBoardCurve")
