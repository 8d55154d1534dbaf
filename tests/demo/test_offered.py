"""What the page knows of a model from the files beside its weights."""

import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

from lightning_nsd.checkpoints.places import SHIPPED
from lightning_nsd.data import Glyphs
from lightning_nsd.demo import offered as opening
from lightning_nsd.demo.letters import GLYPHS_INNER
from lightning_nsd.demo.offered import open_model, open_models
from lightning_nsd.demo.trained_on import trained_on
from lightning_nsd.errors import UserError
from lightning_nsd.model.class_embedding import ClassEmbedding
from tests.conftest import make_model
from tests.demo.conftest import make_offered, tiny_set_vit


def of_run(folder: Path, data: object) -> Path:
    """Where a checkpoint would be in a run's folder with a section `data`; it is not opened."""
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": data}))
    return folder / "last.ckpt"


def opened(monkeypatch, path: Path, model) -> opening.Offered:
    monkeypatch.setattr(opening, "load_checkpoint", lambda *_: model)
    return open_model(path)


def glyphs_of(size: int) -> dict:
    return {"class_path": "lightning_nsd.data.Glyphs", "init_args": {"image_size": size, "test_script": "thai"}}


def test_without_a_checkpoint_the_shipped_model_is_offered() -> None:
    (found,) = open_models([])
    assert (found.name, found.kind, found.inner) == ("the shipped model", "letters", GLYPHS_INNER)
    assert isinstance(found.data, Glyphs) and found.data.image_size == found.model.image_size
    assert not found.model.training


def test_the_run_of_a_checkpoint_tells_its_letters(tmp_path: Path, monkeypatch) -> None:
    model = make_offered().model
    found = opened(monkeypatch, of_run(tmp_path, glyphs_of(8)), model)
    assert found.kind == "letters" and found.data.held_out["test"] == "thai"
    beside_another_size = opened(monkeypatch, of_run(tmp_path, glyphs_of(16)), model)
    assert beside_another_size.kind == "letters" and beside_another_size.data is None


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "inner"),
    [("ClassFolder", {"root": "x", "image_size": 8, "channels": 1}, "photographs", GLYPHS_INNER),
     ("CIFAR100", {"root": "x"}, "photographs", GLYPHS_INNER),
     ("Omniglot", {"root": "x", "image_size": 8}, "letters", 0.75)],
)  # fmt: skip
def test_the_data_set_decides_what_pictures_are(name, arguments, kind, inner, tmp_path: Path, monkeypatch) -> None:
    data = {"class_path": f"lightning_nsd.data.{name}", "init_args": arguments}
    found = opened(monkeypatch, of_run(tmp_path, data), make_offered().model)
    assert (found.kind, found.inner) == (kind, inner)


def test_where_nothing_is_known_grey_is_letters_and_colour_is_photographs(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "alone" / "last.ckpt"
    assert opened(monkeypatch, path, make_offered().model).kind == "letters"
    found = opened(monkeypatch, path, make_model())
    assert found.kind == "photographs" and found.data is None


@pytest.mark.parametrize("data", ["my.Data", {"class_path": "os.system"}, {"class_path": "Glyphs", "init_args": 3}])
def test_a_configuration_that_cannot_be_used_is_said_and_runs_nothing(
    data, tmp_path: Path, monkeypatch, capsys
) -> None:
    found = opened(monkeypatch, of_run(tmp_path, data), make_offered().model)
    assert found.data is None and found.kind == "letters"
    assert "offers no examples" in capsys.readouterr().out


def test_a_folder_of_a_model_names_its_data_and_nothing_is_made_of_it_but_the_glyphs(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    config = (folder / "config.json").read_text()
    assert isinstance(trained_on(folder).data, Glyphs)
    for name, data in (("Omniglot", None), ("ClassFolder", None), ("my.Data", None)):
        (folder / "config.json").write_text(config.replace('"name": "Glyphs"', f'"name": "{name}"'))
        assert trained_on(folder) == (name, data)
    (folder / "config.json").write_text(config.replace("georgian", "klingon"))
    assert trained_on(folder) == (None, None)


def test_a_model_that_sees_no_pictures_is_refused(monkeypatch) -> None:
    of_classes = make_model(encoder=partial(ClassEmbedding, num_classes=3, context_dim=16), context_dropout=0.1)
    with pytest.raises(UserError, match=r"a\.ckpt draws classes by their number"):
        opened(monkeypatch, Path("a.ckpt"), of_classes)


def test_a_model_that_needs_more_pictures_than_fit_is_refused(monkeypatch) -> None:
    offered = make_offered(encoder=tiny_set_vit)
    offered.model.n_shot = 21
    with pytest.raises(UserError, match="takes exactly 21 pictures, and the page has at most 20 fields"):
        opened(monkeypatch, Path("a.ckpt"), offered.model)


def test_a_model_is_where_it_draws_fastest() -> None:
    assert open_model(None).model.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
