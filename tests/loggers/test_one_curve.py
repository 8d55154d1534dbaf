"""What a run that was stopped leaves at a tracker, and what the run that goes on adds, is one curve."""

import contextlib
import shutil
from pathlib import Path

import pytest
from PIL import Image

from lightning_nsd.loggers.metrics_file import MetricsFile, read_rows
from lightning_nsd.loggers.mlflow_curve import MLflowCurve
from lightning_nsd.loggers.one_curve import OneCurve, last_steps
from lightning_nsd.loggers.tensorboard_curve import TensorBoardCurve
from lightning_nsd.loggers.trackio_curve import TrackioCurve
from lightning_nsd.loggers.wandb_curve import AXIS, WandbCurve, at_the_server
from lightning_nsd.loggers.wandb_record import mend, read_record
from lightning_nsd.loggers.wandb_record import read_rows as read_wandb
from tests.loggers.stores import STORES, finish_wandb

CURVES = {of.__name__: of for of in (WandbCurve, TensorBoardCurve, MLflowCurve, TrackioCurve)}
END = 10


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """An empty one of MLflow's, which takes seconds to make."""
    from mlflow.tracking import MlflowClient

    root = tmp_path_factory.mktemp("mlflow")
    MlflowClient(f"sqlite:///{root / 'mlflow.db'}").search_experiments()
    return root / "mlflow.db"


@pytest.fixture(autouse=True)
def _with_database(database, tmp_path):
    shutil.copy(database, tmp_path)


def opened(of, root):
    places = {} if of is TrackioCurve else {"save_dir": str(root)}
    return of(**places, **({"project": "lightning-nsd"} if of is WandbCurve else {}))


def closed(logger):
    """All is in the store, as at the end of a process."""
    logger.save()
    logger.finalize("success")
    if isinstance(logger, WandbCurve):
        finish_wandb(Path(logger.save_dir))
    return logger.known_as


def wandb_files(root):
    return sorted(root.glob("wandb/offline-run-*/*.wandb"))


def train(loggers, first, last):
    """An evaluation with a picture after every third step."""
    for step in range(first, last):
        for logger in loggers:
            logger.log_metrics({"train/loss": step + 0.5, "epoch": 0}, step=step)
            logger.save()
        if (step + 1) % 3 == 0:
            evaluate(loggers, step + 1)


def evaluate(loggers, step):
    for logger in loggers:
        logger.log_metrics({"val/loss": step + 0.25, "val/fid/გ": float("nan")}, step=step)
        logger.save()
    for logger in loggers:
        if hasattr(logger, "log_image"):
            logger.log_image("samples/val", [Image.new("RGB", (4, 4))], step=step)


@pytest.mark.smoke
@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize(
    ("reached", "resumed_at"), [(8, 4), (3, 7), (0, 7)], ids=["more than is saved", "less", "nothing"]
)
def test_every_step_is_there_once_and_in_order_whatever_of_a_killed_process_has_reached_the_tracker(
    name, reached, resumed_at, tmp_path
):
    """The CSV has the first eight steps, as it has all at once; the tracker had some of them when all was killed."""
    csv, of = MetricsFile(tmp_path / "logs"), CURVES[name]
    train([csv], 0, 8)
    stopped = opened(of, tmp_path)
    train([stopped], 0, reached)
    known_as = closed(stopped) if reached else None
    resumed = opened(of, tmp_path)
    resumed.go_on(known_as, read_rows(csv.path))
    train([MetricsFile(tmp_path / "logs"), resumed], resumed_at, END)
    assert closed(resumed) == (known_as or resumed.known_as)
    found = STORES[name](tmp_path, resumed.known_as)
    assert found["train/loss"] == list(range(END))
    assert found["val/loss"] == [3, 6, 9]
    if reached == 8:
        assert found["samples/val"] == [3, 6, 9]
    assert found[resumed.name_of("val/fid/გ")] == [3, 6, 9]


class Record(OneCurve):
    """A tracker in this process, which cannot be asked the first few times."""

    name, version, known_as = "record", 0, "run"

    def __init__(self, rows, failures):
        super().__init__()
        self.rows, self.failures, self.asked = rows, failures, 0

    def take_up(self, run_id): ...

    def log_hyperparams(self, params): ...

    def recorded(self, earlier):
        self.asked += 1
        if self.asked <= self.failures:
            raise ConnectionError("nobody answers")
        return last_steps((step, figures) for step, figures in self.rows)

    def write(self, figures, step):
        self.rows.append((step, dict(figures)))


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_a_record_that_cannot_be_reached_at_first_is_made_up_when_it_can(failures):
    earlier = [{"step": step, "loss": str(step + 0.5)} for step in range(3)]
    resumed = Record([(0, {"loss": 0.5})], failures)
    resumed.go_on("run", earlier)
    for step in range(3, 6):
        with contextlib.suppress(ConnectionError):
            resumed.log_metrics({"loss": step + 0.5}, step)
    assert resumed.rows == [(step, {"loss": step + 0.5}) for step in range(6)]


def test_a_record_that_is_never_reached_is_not_asked_for_ever_and_is_given_what_there_is():
    resumed = Record([], 1000)
    resumed.go_on("run", [{"step": 0, "loss": "0.5"}])
    for step in range(1, 20):
        with contextlib.suppress(ConnectionError):
            resumed.log_metrics({"loss": step + 0.5}, step)
    assert resumed.asked == 3
    assert resumed.rows == [(step, {"loss": step + 0.5}) for step in range(20)]


def test_an_evaluation_that_is_made_up_adds_what_was_not_logged_of_it(tmp_path):
    csv, stopped = MetricsFile(tmp_path / "logs"), opened(WandbCurve, tmp_path)
    for logger in (csv, stopped):
        logger.log_metrics({"train/loss": 0.5}, step=0)
        logger.log_metrics({"val/fid/mean": 7.0}, step=1)  # and then SIGTERM
        logger.save()
    resumed, known_as = opened(WandbCurve, tmp_path), closed(stopped)
    resumed.go_on(known_as, read_rows(csv.path))
    resumed.log_metrics({"val/fid/mean": 7.0}, step=1)
    resumed.log_metrics({"val/loss": 0.25}, step=1)
    resumed.log_metrics({"train/loss": 1.5}, step=1)
    closed(resumed)
    rows = [{k: v for k, v in row.items() if k != AXIS} for row in read_record(wandb_files(tmp_path)).rows]
    assert rows == [{"train/loss": 0.5}, {"val/fid/mean": 7.0}, {"val/loss": 0.25}, {"train/loss": 1.5}]


def test_the_offline_folders_of_a_run_are_numbered_on_and_each_ends_with_the_whole_summary(tmp_path):
    csv, stopped = MetricsFile(tmp_path / "logs"), opened(WandbCurve, tmp_path)
    train([csv, stopped], 0, 3)
    known_as = closed(stopped)
    resumed = opened(WandbCurve, tmp_path)
    resumed.go_on(known_as, read_rows(csv.path))
    train([MetricsFile(tmp_path / "logs"), resumed], 3, 5)
    assert {key: resumed.experiment.summary[key] for key in ("train/loss", "val/loss", AXIS)} == {
        "train/loss": 4.5, "val/loss": 3.25, AXIS: 4,
    }  # fmt: skip
    assert resumed.experiment.summary["samples/val"]["_type"].startswith("images")
    closed(resumed)
    files = wandb_files(tmp_path)
    assert len(files) == 2
    assert {file.stem for file in files} == {f"run-{known_as}"}
    numbers = [row["_step"] for file in files for row in read_wandb(file)]
    assert numbers == list(range(7))  # five steps, an evaluation, its picture


def test_steps_have_a_name_of_our_own_whatever_lightning_calls_them(tmp_path, monkeypatch):
    def as_it_may_be(self, metrics, step=None):
        self.experiment.log({**metrics, "global_step": step})

    monkeypatch.setattr("lightning.pytorch.loggers.WandbLogger.log_metrics", as_it_may_be)
    logger = opened(WandbCurve, tmp_path)
    logger.log_metrics({"train/loss": 1.0}, step=3)
    logger.log_image("samples/val", [Image.new("RGB", (4, 4))], step=3)
    closed(logger)
    rows = read_record(wandb_files(tmp_path)).rows
    assert [sorted(row) for row in rows] == [["train/loss", AXIS], ["samples/val", AXIS]]
    assert [row[AXIS] for row in rows] == [3, 3]


def test_a_record_that_is_broken_off_anywhere_is_read_up_to_there_and_mended(tmp_path):
    logger = opened(WandbCurve, tmp_path)
    texts = [str(step) * 50_000 for step in range(3)]  # each longer than a block
    for step, text in enumerate(texts):
        logger.log_metrics({"text": text}, step=step)
    closed(logger)
    (file,) = wandb_files(tmp_path)
    data = file.read_bytes()
    ends = set()
    for size in range(7, len(data) + 4999, 4999):
        file.write_bytes(data[:size])
        found = [row["text"] for row in read_record([file]).rows]
        assert found == texts[: len(found)]
        mend(file)
        if not file.exists():  # no run was named yet
            assert file.with_name(f"{file.name}.empty").stat().st_size == size < 5000
            continue
        assert [row["text"] for row in read_record([file]).rows] == found
        ends.add(file.stat().st_size)
    assert len(data) in ends
    assert 3 <= len(ends) <= 10  # of 30 sizes: ends of records only


def test_a_run_is_resumed_though_the_command_line_says_nothing_of_that(tmp_path):
    logger = WandbCurve(save_dir=str(tmp_path), project="lightning-nsd", resume=None, settings=None)
    logger.go_on("abcd1234", [])
    assert (logger.experiment.id, logger.experiment.settings.resume) == ("abcd1234", "allow")


def test_of_the_last_step_at_the_server_what_is_not_among_the_last_values_is_logged_again():
    summary = {AXIS: 6, "train/loss": 5.5, "val/loss": 6, "val/mse": 3.25, "nan": "NaN", "samples/val": {}}
    at_six = {"step": 6, "val/loss": 6.0, "val/mse": 6.25, "nan": float("nan")}
    found = at_the_server(summary, [{"step": 3, "val/mse": 3.25}, at_six])
    assert found == {AXIS: 5, "train/loss": 5, "val/loss": 6, "val/mse": 5, "nan": 6, "samples/val": 5}
    assert at_the_server({}, [at_six]) == {}


def test_a_run_that_mlflow_has_not_is_begun_anew_with_all_figures(tmp_path):
    logger = opened(MLflowCurve, tmp_path)
    logger.go_on("0" * 32, [{"step": 0, "train/loss": "0.5"}])
    logger.log_metrics({"train/loss": 1.5}, step=1)
    assert STORES["MLflowCurve"](tmp_path, closed(logger))["train/loss"] == [0, 1]


def test_names_of_classes_in_any_script_are_figures_of_their_own_in_mlflow(tmp_path):
    logger = opened(MLflowCurve, tmp_path)
    logger.log_metrics({"val/fid/გ": 1.0, "val/fid/ე": 2.0}, step=1)
    assert len(STORES["MLflowCurve"](tmp_path, closed(logger))) == 2
