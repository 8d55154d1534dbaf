"""Bad and half-written runs give what there is."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from lightning_nsd.errors import UserError
from lightning_nsd.report.collect import collect
from tests.report.conftest import CLASSES, make_run, parsed, write_distances


def test_a_whole_run_has_nothing_to_be_noted(run):
    assert collect(run).notes == []


def test_reading_changes_nothing(run):
    def state() -> dict[Path, str]:
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in run.rglob("*") if path.is_file()}

    (run / "logs/metrics.csv").write_text("damaged")
    before = state()
    collect(run)
    assert state() == before


@pytest.mark.parametrize(
    ("missing", "note"),
    [
        ("config.yaml", "no config.yaml"),
        ("logs", "no figures"),
        ("logs/history.jsonl", "no history"),
        ("samples", "no pictures"),
        ("chain", "no chain"),
        ("distances", "no distances"),
        ("last.ckpt", "no checkpoint"),
    ],
)
def test_what_is_missing_is_said_and_the_rest_is_shown(run, missing, note):
    path = run / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = parsed(run)
    assert note in page.text
    assert any(row[:1] == ["anchor"] for row in page.rows) == (missing != "distances")
    assert bool(page.data["curves"]["names"]) == (missing != "logs")


@pytest.mark.parametrize(
    ("file", "note"),
    [
        ("config.yaml", "configuration cannot be read"),
        ("logs/history.jsonl", "lines of the history cannot be read"),
        ("samples/val_step=00000004.png", "val_step=00000004.png is not shown"),
        ("chain/step=00000008.png", "step=00000008.png is not shown"),
        ("chain/step=00000008.json", "chain cannot be read"),
        ("distances/val_fd_glyphnet_step=00000008/per_class.json", "per_class.json is not there, or damaged"),
        ("distances/val_fd_glyphnet_step=00000008/strips/0001.png", "0001.png is not shown"),
    ],
)
@pytest.mark.parametrize("damage", [b"", b"\x89PNG\r\n\x1a\n{[\x00\xff", "cut"], ids=["empty", "other bytes", "cut"])
def test_a_damaged_file_is_named_and_the_rest_is_shown(run, file, note, damage):
    path = run / file
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 - 3] if damage == "cut" else damage)
    page = parsed(run)
    if not (damage == b"" and path.suffix in (".yaml", ".jsonl")):  # empty, these are as good as missing
        assert note in page.text
    assert page.data["curves"]["figures"][0]["train/loss"][0] == list(range(8))


def test_of_figures_that_were_broken_off_the_whole_lines_are_shown(run):
    path = run / "logs/metrics.csv"
    path.write_text(path.read_text() + "8,0,0.12")
    found = collect(run)
    assert [step for step, _ in found.curves["train/loss"]] == list(range(8))
    assert "The last line of the figures was broken off and is left out." in found.notes


def test_values_that_are_no_numbers_are_left_out(run):
    path = run / "logs/metrics.csv"
    path.write_text(path.read_text() + "8,0,nan,inf,x,\nx,0,1,1,1,1\n\x00\xff,,,\n")
    found = collect(run)
    assert [step for step, _ in found.curves["train/loss"]] == list(range(8))
    assert any("name no step" in note for note in found.notes)


def test_a_run_that_only_began_has_a_page(tmp_path):
    (tmp_path / "config.yaml").write_text("seed_everything: 0\n")
    page = parsed(tmp_path)
    assert "There are no figures." in page.text
    assert page.row("seed_everything") == ["seed_everything", "0"]


def test_what_an_earlier_run_left_is_a_run_too(tmp_path):
    assert collect(make_run(tmp_path / "earlier-1")).curves


def test_an_evaluation_that_was_broken_off_is_shown_without_pictures_of_another(run):
    path = run / "distances/val_fd_glyphnet_step=00000008/per_class.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "complete": False, "classes": content["classes"][1:2]}))
    (found,) = collect(run).distances
    assert found.strips == [""]
    assert "broken off: these are the 1 classes" in parsed(run).text


def test_of_several_evaluations_the_newest_whole_one_is_shown(run):
    write_distances(run, CLASSES, (3.0, 1.0, 2.0), step=12)
    (found,) = collect(run).distances
    assert (found.step, found.earlier) == (12, 1)


@pytest.mark.parametrize(
    "content",
    [
        [], {"classes": 3}, {"classes": [1, {"class": None}]}, {"classes": [{"class": "a", "fd": [1, 2]}]},
        {"summary": {"mean": 10**400}, "classes": [{"class": "\ud800", "fd_glyphnet": 10**400}]},
        {"summary": [], "complete": True, "classes": [{}]}, {"step": "x", "split": 3, "classes": [{"class": {"a": 1}}]},
    ],
)  # fmt: skip
def test_tables_of_any_shape_are_no_error(run, content):
    (run / "distances/val_fd_glyphnet_step=00000008/per_class.json").write_text(json.dumps(content))
    assert parsed(run).text


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "start", "step": 1, "command": 5, "versions": [], "settings": [1, [2]], "when": 7}',
        '{"event": "start", "step": 1, "command": ["\\ud800"], "when": "2026-01-01T00:00:00Z"}\n'
        '{"event": "end", "step": 2, "when": "2026-01-01T00:01:00"}',
        "[]",
        "{" * 5000,
        "",
    ],
)
def test_a_history_of_any_shape_is_no_error(run, line):
    (run / "logs/history.jsonl").write_text(line + "\n")
    assert parsed(run).text


def test_what_is_wrong_is_said_with_all_its_dots_of_a_run_in_the_current_folder(run, monkeypatch):
    (run / "config.yaml").write_text("a: [")
    monkeypatch.chdir(run)
    (note,) = (note for note in collect(Path()).notes if "configuration" in note)
    assert "config.yaml" in note


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a run"):
        collect(tmp_path)
    with pytest.raises(UserError, match="There is no folder"):
        collect(tmp_path / "nowhere")
