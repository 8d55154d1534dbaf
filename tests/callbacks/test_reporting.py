"""Where a distance appears: loggers, tables, chart and terminal."""

import csv
import json
import math
import struct
import time

import pytest
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from PIL import Image

from lightning_nsd.evaluation.chart import draw_chart
from lightning_nsd.evaluation.report import Report, Row
from lightning_nsd.metrics.distances import Distances
from tests.callbacks.conftest import SizedData, evaluate, make_callback, make_module, make_trainer, read_tables
from tests.training.conftest import run

KEYS = {"mean", "median", "worst5", "failed", "floor", "precision", "recall", "n_min", "n_max"}


def read_wandb(root):
    """What an offline run logged, nested keys joined by slashes, and the files of its artifacts.

    The file is in LevelDB's log format: 32 KiB blocks of records with heads of 7 bytes.
    """
    from wandb.proto import wandb_internal_pb2

    data = next(root.glob("wandb/offline-run-*/run-*.wandb")).read_bytes()
    assert data.startswith(b":W&B")
    position, part, history, artifacts = 7, b"", [], []
    while position + 7 <= len(data):
        rest = 32768 - position % 32768
        if rest < 7:
            position += rest
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        part += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record.FromString(part)
            part = b""
            artifacts += [entry.path for entry in record.artifact.manifest.contents]
            items = record.history.item
            history.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    return [items for items in history if items], artifacts


def test_the_distance_reaches_wandb_with_its_table_and_chart(tmp_path):
    logger = WandbLogger(project="test", save_dir=str(tmp_path), offline=True)
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
    assert logged["val/fd_means/chart/_type"].startswith("images")
    table = {key: logged[f"val/fd_means/table/{key}"] for key in ("_type", "nrows", "ncols", "path")}
    assert (table["_type"], table["nrows"], table["ncols"]) == ("table-file", 8, 11)
    path = next(tmp_path.glob("wandb/offline-run-*")) / "files" / table["path"]
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["columns"][:5] == ["class", "images", "n", "fd_means", "kd_means"]
    assert [line[0] for line in content["data"]] == [f"val_{i}" for i in range(8)]
    assert len([name for name in pictures if name.startswith("media/images/")]) == 8
    for key in ("val/fd_means/mean", "val/loss"):
        assert {items["trainer/global_step"] for items in history if key in items} == {2}


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


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_validate_and_test_report_their_own_split(stage, tmp_path, capsys):
    logger = CSVLogger(str(tmp_path), name="logs")
    trainer = make_trainer(tmp_path, make_callback(when="last"), logger=logger)
    getattr(trainer, stage)(make_module(), SizedData({"a": 12, "b": 12}), verbose=False)
    split = {"validate": "val", "test": "test"}[stage]
    assert f"fd_means of 2 classes ({split}) at step 0" in capsys.readouterr().out
    assert set(read_tables(tmp_path, f"{split}_*")[0]) == {"a", "b"}
    assert f"{split}/fd_means/a" in (tmp_path / "logs" / "version_0" / "metrics.csv").read_text()


@pytest.mark.parametrize(("when", "steps"), [("every", [2, 4, 6]), ("last", [6]), ("never", [])])
def test_when(when, steps, tmp_path):
    run(tmp_path, 7, callbacks=[make_callback(when=when, classes=1)], limit_val_batches=1.0, val_check_interval=2)
    found = sorted(path.name for path in tmp_path.glob("distances/*"))
    assert found == [f"val_fd_means_step={step:08d}" for step in steps]


def test_no_evaluation_while_checking_or_without_validation(tmp_path):
    run(tmp_path, 2, callbacks=[make_callback()], limit_val_batches=1.0, val_check_interval=5, num_sanity_val_steps=1)
    run(tmp_path, 2, callbacks=[make_callback()], limit_val_batches=0, val_check_interval=2)
    assert not (tmp_path / "distances").exists()


def test_the_classes_may_be_a_list_or_a_seeded_number(tmp_path):
    sizes = dict.fromkeys("abcdefgh", 12)
    assert set(evaluate(tmp_path / "list", sizes, classes=["g", "b"])[0]) == {"b", "g"}
    drawn = [
        set(evaluate(tmp_path / f"{i}", sizes, {"eval_seed": seed}, classes=3)[0]) for i, seed in enumerate((0, 0, 1))
    ]
    assert len(drawn[0]) == 3
    assert drawn[0] == drawn[1] != drawn[2]


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


def test_json_knows_no_nan(tmp_path):
    folder = "distances/val_fd_means_step=00000000/per_class.json"
    evaluate(tmp_path, {"a": 3, "b": 12})
    assert "NaN" not in (tmp_path / folder).read_text()
    assert read_tables(tmp_path)[1]["classes"][0]["precision"] is None


def make_report(distances):
    rows = [Row(f"class {i}", 9, 9, Distances(d, d, 0.5, 0.5, 0.1, 4), "" if d == d else "too small") for i, d in
            enumerate(distances)]  # fmt: skip
    return Report("val", 3, "fid", "kid", 9, rows=rows)


@pytest.mark.parametrize("distances", [[], [math.nan], [3.0], [1.0, math.nan, 2.0], list(range(1, 101))])
def test_a_chart_of_any_number_of_classes(distances):
    assert isinstance(draw_chart(make_report([float(d) for d in distances])), Image.Image)


def test_the_summary_over_classes():
    report = make_report([1.0, 9.0, math.nan, 2.0, 3.0, 4.0, 5.0])
    summary = report.summary()
    assert summary["mean"] == 4.0
    assert summary["median"] == 3.5
    assert summary["worst5"] == (9 + 5 + 4 + 3 + 2) / 5
    assert [row.name for row in report.ranked[:2]] == ["class 1", "class 6"]
    assert make_report([math.nan]).summary()["mean"] != make_report([math.nan]).summary()["mean"]


def test_a_class_that_is_called_mean_does_not_hide_the_mean():
    report = make_report([1.0, 3.0])
    report.rows[0] = report.rows[0]._replace(name="mean")
    figures = report.figures()
    assert (figures["val/fid/mean"], figures["val/fid/class_mean"]) == (2.0, 1.0)


def test_a_chart_that_cannot_be_made_is_a_warning(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no fonts, say")

    monkeypatch.setattr("lightning_nsd.evaluation.publish.draw_chart", fail)
    with pytest.warns(UserWarning, match="The chart of fd_means could not be written or shown .RuntimeError: no fonts"):
        rows, _ = evaluate(tmp_path, {"a": 12})
    assert float(rows["a"]["fd_means"]) > 0
