"""What stands in a report, and what it may do."""

import base64
import hashlib
import re

import pytest

from lightning_nsd.report.collect import collect
from lightning_nsd.report.page import page
from tests.report.conftest import CLASSES, Parsed, make_run, parsed

HOSTILE = '</script><script>alert(1)</script><img src="https://example.org/x" onerror=alert(2)>'


@pytest.mark.smoke
def test_it_says_what_was_run(run):
    said = " ".join(parsed(run).text.split())
    for text in ("fit --model.lr 0.001", "torch 2.9.1", "cores 2", "once, at step 4", "finished after 8 steps"):
        assert text in said


def test_its_settings_are_those_that_are_no_defaults_with_who_said_so(run):
    page = parsed(run)
    assert page.row("model.lr") == ["model.lr", "0.01", "0.001", "command line"]
    assert page.row("model.decay") == ["model.decay", "0.9", "0.99", "glyphs.yaml"]


def test_every_figure_is_a_curve_and_losses_share_a_chart(run):
    curves = parsed(run).data["curves"]
    assert set(curves["figures"][0]) == {"train/loss", "val/loss", "lr-AdamW", f"val/fid/{CLASSES[0]}"}
    assert curves["figures"][0]["val/loss"] == [[0, 4], [2.5, 2.5]]
    assert curves["charts"][0] == {"title": "loss", "names": ["train/loss", "val/loss"], "log": False}
    assert "val/fid" not in str(curves["charts"])  # of one class: in the chart of any figure alone


def test_sliders_have_every_step_and_the_chain_every_moment(run):
    page = parsed(run)
    labels = [[frame[0] for frame in rows[0]] for rows in page.data["sliders"].values()]
    assert labels == [["step 4", "step 8"]] * 2 + [["after step 1 of 4", "after step 2 of 4", "after step 4 of 4"]]
    assert len({frame[1] for rows in page.data["sliders"].values() for frame in rows[0]}) > 4


def test_a_row_a_class_with_its_distance_and_its_picture(run):
    page = parsed(run)
    assert page.row("anchor")[2:5] == ["20", "30", "0.3"]
    strips = [attributes for attributes in page.all("img") if attributes["alt"].startswith("real and drawn")]
    assert [strip["alt"].split()[-1] for strip in strips] == list(CLASSES)


def test_the_floor_and_what_to_trust_are_sentences(run):
    said = parsed(run).text
    assert "The mean fd_glyphnet is 20" in said
    assert "is 9.5" in said  # the floor
    assert "1 of 3 classes lie within a tenth of their floor" in said
    assert "Trust kd_glyphnet more" in said


@pytest.mark.parametrize("has_history", [True, False])
def test_no_folder_of_the_machine_is_shown(has_history, run):
    """Nor in the settings of a run without history, which are all listed, nor in the reason of a class."""
    if not has_history:
        (run / "logs/history.jsonl").unlink()
    table = run / "distances/val_fd_glyphnet_step=00000008/per_class.json"
    table.write_text(table.read_text().replace('"reason": ""', '"reason": "no /home/somebody/x.png"'))
    text = page([collect(run)])
    assert "somebody" not in text and "no …/x.png" in text
    assert has_history or Parsed(text).row("trainer.default_root_dir")[1] == "…/first"


# ---- two runs ----


def test_two_runs_are_drawn_into_the_same_charts(run, other):
    curves = parsed(run, other).data["curves"]
    assert curves["runs"] == ["first", "second"]
    assert all("train/loss" in figures for figures in curves["figures"])


def test_two_runs_are_joined_by_class_with_their_difference(run, other):
    page = parsed(run, other)
    assert page.row("bicycle")[2:5] == ["10", "12.5", "+2.5"]
    assert page.row("anchor")[2:5] == ["30", "", ""]
    assert page.row("drum")[2:5] == ["", "40", ""]


def test_of_two_runs_only_settings_that_differ_are_listed(run, other):
    rows = [row for row in parsed(run, other).rows if row[0].startswith(("model.", "seed", "trainer."))]
    assert rows == [["model.lr", "0.001", "0.002"]]


def test_what_holds_of_both_runs_is_said_once(run, other):
    assert parsed(run, other).text.count("of another extractor than Inception") == 1


def test_two_runs_stand_in_one_slider(run, other):
    rows = parsed(run, other).data["sliders"]["0"]
    assert len(rows) == 2


# ---- alone, whatever it is given ----


def loads(tag: str, attributes: dict[str, str]) -> list[str]:
    """Addresses that a browser would fetch for an element."""
    named = [attributes.get(name, "") for name in ("src", "srcset", "data", "poster", "background")]
    return [*filter(None, named), *([attributes["href"]] if tag != "a" and "href" in attributes else [])]


def test_it_loads_nothing_from_anywhere(run, other):
    page = parsed(run, other)
    fetched = [address for tag, attributes in page.tags for address in loads(tag, attributes)]
    assert fetched and all(address.startswith("data:image/") for address in fetched)
    assert not any(re.search(r"@import|url\(", style) for style in page.styles)
    assert not page.all("link") and not page.all("iframe")


def test_its_policy_allows_its_own_scripts_and_no_other_thing(run):
    page = parsed(run)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in page.scripts[1:]]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    assert f"script-src {allowed};" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy


def test_it_fits_a_phone(run):
    assert "width=device-width" in next(a["content"] for a in parsed(run).all("meta") if a.get("name") == "viewport")


def test_names_from_files_are_text_and_nothing_else(tmp_path):
    plain = parsed(make_run(tmp_path / "plain"))
    root = make_run(tmp_path / "hostile", classes=(HOSTILE, "b", "c"))
    config = (root / "config.yaml").read_text().replace('"model"', '"<b>mo&del"')
    (root / "config.yaml").write_text(config)
    history = (root / "logs/history.jsonl").read_text().replace("command line", "<script>alert(3)</script>")
    (root / "logs/history.jsonl").write_text(history)
    page = parsed(root)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.row(HOSTILE)[0] == HOSTILE
    assert f"One chain, from noise▶hostile: {HOSTILE} (val)" in page.text.replace("\n", "")
    assert any("</script><script>alert(1)" in name for name in page.data["curves"]["names"])


def test_a_hostile_name_of_a_folder_is_text(tmp_path):
    root = make_run(tmp_path / "<script>alert(1)<")
    page = parsed(root)
    assert "<script>alert(1)<" in page.text
    assert len(page.scripts) == 3


def test_a_page_has_no_more_than_it_can_hold(tmp_path, monkeypatch):
    monkeypatch.setattr("lightning_nsd.report.collect.MOST_FRAMES", 2)
    monkeypatch.setattr("lightning_nsd.report.collect.MOST_POINTS", 3)
    monkeypatch.setattr("lightning_nsd.report.tables.MOST_ROWS", 2)
    root = make_run(tmp_path / "run")
    for step in (5, 6, 7):
        (root / f"samples/val_step={step:08d}.png").write_bytes((root / "samples/val_step=00000004.png").read_bytes())
    page = parsed(root)
    assert [frame[0] for frame in page.data["sliders"]["1"][0]] == ["step 4", "step 8"]
    assert page.data["curves"]["figures"][0]["train/loss"][0] == [0, 4, 7]
    said = page.text
    for text in ("Of 5 pictures of val, 2 are shown", "up to 8 points", "1 more classes are in per_class.csv"):
        assert text in said


def test_the_page_is_whole_html(run):
    text = page([collect(run)])
    assert text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")
    assert Parsed(text).all("html") == [{"lang": "en"}]
