"""The CSV of a run's figures is whole at every moment, and one curve over any number of resumes."""

import csv
import os
import resource
import signal
import time

import pytest

from lightning_nsd.files.lines import append
from lightning_nsd.loggers.metrics_file import MetricsFile, read_rows


def log(file, step, **figures):
    file.log_metrics({name.replace("_", "/"): value for name, value in figures.items()}, step=step)
    file.save()


def lines(file):
    with file.path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def steps(file, column):
    return [int(row["step"]) for row in lines(file) if row.get(column)]


def test_every_line_is_in_the_file_at_once_and_columns_may_come_at_any_time(tmp_path):
    file = MetricsFile(tmp_path)
    log(file, 0, train_loss=0.1)
    assert steps(file, "train/loss") == [0]
    log(file, 1, train_loss=0.2, epoch=0)
    log(file, 2, val_loss=1 / 3)
    assert file.path.read_text().splitlines() == [
        "step,epoch,train/loss,val/loss", "0,,0.1,", "1,0,0.2,", f"2,,,{1 / 3!r}",
    ]  # fmt: skip


@pytest.mark.parametrize("kills", [3])
def test_a_kill_in_the_middle_of_writing_loses_no_line(kills, tmp_path):
    """Every line brings a new column, so that the process is nearly always rewriting."""
    for number in range(kills):
        said, say = os.pipe()
        if not (child := os.fork()):
            file = MetricsFile(tmp_path / str(number))
            for step in range(10**6):
                file.log_metrics({f"train/{step}": 1.0}, step=step)
                file.save()
                os.write(say, b".")
        time.sleep(0.15 + 0.05 * number)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(say)
        logged = len(os.read(said, 10**6))
        rows = read_rows(tmp_path / str(number) / "metrics.csv")
        assert logged > 5
        assert logged <= len(rows) <= logged + 1
        assert [row["step"] for row in rows] == list(range(len(rows)))


@pytest.mark.parametrize("resumed_at", [0, 3, 4, 5, 6, 7])
def test_a_resumed_run_repeats_no_step_and_misses_none(resumed_at, tmp_path):
    """An evaluation after every third step; the first run was killed after some steps that it saved no more."""

    def train(file, first, last):
        for step in range(first, last):
            log(file, step, train_loss=step + 0.5)
            if (step + 1) % 3 == 0:
                log(file, step + 1, val_fid=step + 0.25)
                log(file, step + 1, val_loss=step + 0.75)

    whole, stopped = MetricsFile(tmp_path / "whole"), MetricsFile(tmp_path / "stopped")
    train(whole, 0, 10)
    train(stopped, 0, 8)
    train(MetricsFile(tmp_path / "stopped"), resumed_at, 10)
    assert stopped.path.read_text() == whole.path.read_text()


def test_another_logging_interval_after_a_resume_leaves_nothing_of_the_abandoned_branch(tmp_path):
    first = MetricsFile(tmp_path)
    for step in range(8):
        log(first, step, train_loss=1.0)
    log(first, 8, val_loss=1.0)
    again = MetricsFile(tmp_path)
    log(again, 5, train_loss=2.0)
    assert [(row["step"], row["train/loss"]) for row in lines(again)] == [
        *((str(step), "1.0") for step in range(5)), ("5", "2.0"),
    ]  # fmt: skip


def test_validating_an_old_checkpoint_leaves_the_others_figures(tmp_path):
    for step, loss in ((4, 0.4), (2, 0.2), (4, 0.5)):
        log(MetricsFile(tmp_path, "validate", one_run=False), step, val_loss=loss)
    assert [(row["step"], row["val/loss"]) for row in lines(MetricsFile(tmp_path, "validate"))] == [
        ("2", "0.2"), ("4", "0.5"),
    ]  # fmt: skip


@pytest.fixture
def limited():
    """Files of this process can grow to so many bytes: a disk that is full in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


def test_what_a_full_disk_did_not_take_is_written_when_there_is_room(limited, tmp_path):
    file = MetricsFile(tmp_path)
    log(file, 0, train_loss=0.0)
    size = file.path.stat().st_size
    for step in range(1, 4):
        limited(size + 3)
        with pytest.raises(OSError, match=r"No space left|File too large"):
            log(file, step, train_loss=float(step))
        limited(resource.RLIM_INFINITY)
        assert file.path.stat().st_size == size
    log(file, 4, train_loss=4.0)
    assert steps(file, "train/loss") == [0, 1, 2, 3, 4]


def test_a_write_that_is_cut_short_leaves_the_file_as_it_was(limited, tmp_path):
    path = tmp_path / "file"
    path.write_text("whole line\n")
    limited(15)
    with pytest.raises(OSError, match="No space left"):
        append(path, "another line\n")
    limited(resource.RLIM_INFINITY)
    assert path.read_text() == "whole line\n"


def test_a_folder_that_was_deleted_is_made_again(tmp_path):
    file = MetricsFile(tmp_path / "logs")
    log(file, 0, train_loss=0.0)
    file.path.unlink()
    file.path.parent.rmdir()
    log(file, 1, train_loss=1.0)
    assert steps(file, "train/loss") == [1]


def test_a_last_line_that_was_broken_off_is_left_out(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,train/loss\n0,0.5\n1,0.2")
    assert read_rows(path) == [{"step": 0, "train/loss": "0.5"}]


@pytest.mark.parametrize("content", [b"\0" * 40 + b"\n", b"nonsense\n1\n", b"step,a\nseven,1\n", b'step,a\n1,"2"3\n'])
def test_a_damaged_file_is_kept_under_another_name(content, tmp_path):
    file = MetricsFile(tmp_path)
    file.path.write_bytes(content)
    with pytest.warns(UserWarning, match="is damaged .* it is now metrics.csv.damaged"):
        log(file, 3, train_loss=1.0)
    assert (tmp_path / "metrics.csv.damaged").read_bytes() == content
    assert steps(file, "train/loss") == [3]


def test_names_of_classes_may_hold_anything(tmp_path):
    file, name = MetricsFile(tmp_path), 'val/fid/a,"b"\nგ\udcff'
    for step in (1, 2):
        file.log_metrics({name: 1.0}, step=step)
        file.save()
    MetricsFile(tmp_path).path.read_bytes().decode("utf-8", errors="surrogateescape")
    assert [row[name] for row in read_rows(file.path)] == ["1.0", "1.0"]
