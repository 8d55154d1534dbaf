"""The card: metadata that hubs read, figures and pictures of these weights alone, examples that work."""

import json
import re
import shlex
import shutil
from functools import partial
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from lightning_nsd import data
from lightning_nsd.checkpoints.hub_config import DataSet
from lightning_nsd.hub.card import About, model_card
from lightning_nsd.hub.data_sets import SOURCES, UNKNOWN, source_of
from lightning_nsd.hub.run import RunOutputs, outputs_of
from lightning_nsd.model import ClassEmbedding
from tests.cli.conftest import ROOT
from tests.conftest import make_model

NOTHING = RunOutputs([], [], [])
ABOUT = About("tiny", "hf://me/tiny", "mit", "float16", 1234)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_its_metadata_is_what_the_library_reads(folder, run):
    card = ModelCard.load(folder / "README.md")
    assert card.data.library_name == "lightning_nsd"
    assert card.data.license == "unknown"
    assert {"few-shot", "diffusion"} <= set(card.data.tags)
    results = {(result.dataset_split, result.metric_type): result.metric_value for result in card.data.eval_results}
    tables = [json.loads(path.read_text()) for path in run.glob("distances/*/per_class.json")]
    assert results == {(table["split"], table["distance"]): table["summary"]["mean"] for table in tables}
    assert {result.dataset_name for result in card.data.eval_results} == {"Glyphs"}


def test_it_has_every_class_s_figures_and_the_pictures(folder, run):
    text = (folder / "README.md").read_text()
    for path in run.glob("distances/*/per_class.json"):
        for row in json.loads(path.read_text())["classes"]:
            assert f"| `{row['class']}` | {row['n']} | {row['fd_glyphnet']:.4g} |" in text
    linked = re.findall(r"!\[.*?\]\(\./(.*?)\)", text)
    assert len(linked) == 3
    for name in linked:
        assert (folder / name).read_bytes() == (run / name).read_bytes()


def test_figures_and_pictures_of_other_weights_are_not_in_it(run, nsd):
    first = run / "checkpoints" / "step=00000001.ckpt"
    status, said = nsd("convert", "--input", first, "--output", "first", "--format", "hub")
    assert status == 0
    assert "No distances of these weights" in said
    text = Path("first", "README.md").read_text()
    assert "None: no distances of these weights" in text
    assert "model-index" not in text
    assert not Path("first", "samples").exists()


@pytest.mark.parametrize("where", ["beside", "in a repository of that name"])
def test_its_examples_work_as_they_stand(folder, where, nsd, monkeypatch):
    Path("data/five_pictures").mkdir(parents=True)
    for number in range(5):
        Image.new("L", (20, 30), 50 * number).save(f"data/five_pictures/{number}.png")
    options = ["--repo", "me/tiny"] if where != "beside" else []
    assert nsd("convert", "--input", folder, "--output", "my model", "--format", "hub", *options)[0] == 0
    text = Path("my model", "README.md").read_text()
    if options:
        assert "hf://me/tiny" in text
        monkeypatch.setattr("lightning_nsd.checkpoints.places._fetch", lambda repo, revision: folder)
    (bash,), (python,) = blocks(text, "bash"), blocks(text, "python")
    words = shlex.split(bash)
    assert words[:3] == ["python", "-m", "lightning_nsd"]
    status, said = nsd(*words[3:])
    assert status == 0, said
    assert Path("grid.png").is_file()
    names: dict[str, object] = {}
    exec(compile(python, "card", "exec"), names)
    assert names["images"].shape == (1, 18, 1, 8, 8)


def test_the_examples_of_a_class_conditional_model_name_a_class():
    model = make_model(encoder=partial(ClassEmbedding, num_classes=4, context_dim=16), context_dropout=0.1)
    text = model_card(model, None, NOTHING, ABOUT)
    (python,) = blocks(text, "python")
    assert "--class_number 0" in text
    code = python.replace('lightning_nsd.load("hf://me/tiny")', "model")
    assert code != python
    names: dict[str, object] = {"model": model}
    model.sampler = type(model.sampler)(2)
    exec(compile(code, "card", "exec"), names)
    assert names["images"].shape == (1, 18, 3, 8, 8)


def test_names_that_somebody_else_chose_end_no_table_and_no_metadata():
    nasty = "a|b`<script>\n---\nlicense: mit"
    settings = {"division": "x|`y"}
    described = DataSet(name=nasty, settings=settings, classes={"train": [nasty] * 3})
    text = model_card(make_model(), described, NOTHING, ABOUT._replace(trained_by=nasty))
    metadata = yaml.safe_load(text.split("---\n")[1])
    assert metadata["license"] == "mit"
    assert "<script>" not in text
    assert [line for line in text.splitlines() if line == "---"] == ["---", "---"]


def test_what_is_no_report_of_distances_is_named_and_left_out(run, nsd, tmp_path):
    copied = tmp_path / "copy"
    shutil.copytree(run, copied)
    (broken, *_) = copied.glob("distances/test*/per_class.json")
    good = json.loads(broken.read_text())
    for wrong in ("[]", "{", "null", json.dumps({**good, "summary": {"mean": "x"}}), "[" * 100_000,
                  json.dumps({**good, "classes": [{"class": 3}]}), json.dumps({**good, "split": None}),
                  *(json.dumps({key: good[key] for key in good if key != missing}) for missing in ("step", "complete")),
                  ):  # fmt: skip
        broken.write_text(wrong)
        found = outputs_of(copied, 2)
        assert found.unread == [broken], wrong[:50]
        assert [table.split for table in found.tables] == ["val"]
    status, said = nsd("convert", "--input", copied / "last.ckpt", "--output", "m", "--format", "hub")
    assert status == 0
    assert f"{broken} cannot be read" in said


def test_every_shipped_data_set_says_its_licence_as_the_page_does():
    assert SOURCES.keys() == set(data.__all__)
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    (table,) = (part for part in page.split("\n\n") if part.startswith("| | from | licence"))
    for line in table.splitlines()[2:]:
        name, _, licence, _ = (cell.strip() for cell in line.strip("|").split(" | "))
        assert licence in SOURCES[name.strip("`")].licence, name
    assert source_of("TheirData") == UNKNOWN == SOURCES["ClassFolder"]
    assert "unknown" in UNKNOWN.licence


def test_a_card_needs_nothing_of_the_run():
    text = model_card(make_model(), None, NOTHING, ABOUT)
    assert "Licence of the data: unknown" in text
    assert "1,234 steps" in text
    assert "rounded to float16" in text
