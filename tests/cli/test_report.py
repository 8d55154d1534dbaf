"""`fit` leaves a report, `report` makes one, and neither changes a run."""

import pytest

from lightning_nsd.commands import run_report
from lightning_nsd.runs.history import read_history
from tests.cli.conftest import TINY
from tests.report.conftest import Parsed, make_run
from tests.training.conftest import assert_same_end

RUN = ["fit", *TINY, "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0"]


def fit(nsd, root, *options, steps=2):
    return nsd(*RUN, f"--trainer.default_root_dir={root}", f"--trainer.max_steps={steps}", *options)


def test_a_run_ends_with_its_report_and_says_where(nsd, tmp_path):
    root = tmp_path / "run"
    status, said = nsd("fit", *TINY, f"--trainer.default_root_dir={root}", "--trainer.max_steps=2",
                       "--trainer.val_check_interval=2")  # fmt: skip
    assert status == 0, said
    assert f"{root / 'report.html'}" in said
    page = Parsed((root / "report.html").read_text(encoding="utf-8"))
    for text in ("--config=glyphs.yaml", "finished after 2 steps", "never", "The mean fd_glyphnet is"):
        assert text in " ".join(page.text.split())
    assert "train/loss" in page.data["curves"]["names"]
    assert len(page.data["sliders"]) == 4  # three splits and the chain
    assert page.row("data.n_shot") == ["data.n_shot", "5", "3", "command line"]
    assert page.row("model.ema_decay")[3] == "glyphs.yaml"
    assert page.row("trainer.callbacks.0.num_images")[3] == "command line"
    assert str(root.parent) not in (root / "report.html").read_text(encoding="utf-8")
    assert str(root.parent) not in (root / "logs/history.jsonl").read_text(encoding="utf-8")


def test_a_resumed_run_says_how_often_and_where(nsd, tmp_path):
    fit(nsd, tmp_path, steps=1)
    fit(nsd, tmp_path, "--ckpt_path=last", steps=3)
    events, _ = read_history(tmp_path)
    assert [(event["event"], event["step"]) for event in events] == [("start", 0), ("end", 1), ("start", 1), ("end", 3)]
    assert "once, at step 1" in Parsed((tmp_path / "report.html").read_text(encoding="utf-8")).text


def test_an_earlier_run_takes_its_report_along(nsd, tmp_path):
    for _ in range(2):
        fit(nsd, tmp_path, steps=1)
    assert (tmp_path / "earlier-1/report.html").is_file()
    assert len(read_history(tmp_path / "earlier-1")[0]) == len(read_history(tmp_path)[0]) == 2


def test_a_report_that_fails_is_one_warning_and_the_run_has_the_same_bits(nsd, tmp_path, monkeypatch):
    assert fit(nsd, tmp_path / "with")[0] == 0

    def fail(*_):
        raise OSError(28, "No space left on device")

    for name in ("report", "write_chain"):
        monkeypatch.setattr(run_report, name, fail)
    with pytest.warns(UserWarning, match="The run's report could not be written or shown"):
        status, _ = fit(nsd, tmp_path / "without")
    assert status == 0
    assert not (tmp_path / "without/report.html").exists()
    assert_same_end(tmp_path / "with", tmp_path / "without")


def test_a_run_for_trying_out_leaves_nothing(nsd, tmp_path):
    assert nsd(*RUN, f"--trainer.default_root_dir={tmp_path / 'run'}", "--trainer.fast_dev_run=true")[0] == 0
    assert not (tmp_path / "run").exists()


def test_a_start_that_is_refused_leaves_no_trace(nsd, tmp_path):
    assert fit(nsd, tmp_path, "--model.sampler.num_steps=100000")[0] == 2
    assert not (tmp_path / "logs").exists() and not (tmp_path / "report.html").exists()


# ---- the command ----


def test_two_runs_make_a_page_in_the_current_folder(nsd, tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b")
    status, said = nsd("report", "a", "b")
    assert status == 0 and said.startswith("report.html: ")
    assert Parsed((tmp_path / "report.html").read_text(encoding="utf-8")).data["curves"]["runs"] == ["a", "b"]


def test_a_page_may_be_written_elsewhere(nsd, tmp_path):
    make_run(tmp_path / "a")
    assert nsd("report", "a", "--out", "pages/a.html")[0] == 0
    assert (tmp_path / "pages/a.html").is_file() and not (tmp_path / "a/report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "There is no folder nowhere"),
        (["empty"], "is not the folder of a run"),
        (["a", "a", "a"], "3 are given"),
        ([], "runs"),
        (["a", "--out", "a"], "cannot be written"),
        (["a", "--unknown", "1"], "unknown"),
    ],
)
def test_mistakes_end_in_a_sentence(words, message, nsd, tmp_path):
    make_run(tmp_path / "a")
    (tmp_path / "empty").mkdir()
    status, said = nsd("report", *words)
    assert status == 2 and message in said and "Traceback" not in said
