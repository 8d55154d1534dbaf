"""What is shown to others names no folder of this machine."""

import pytest

from lightning_nsd.runs.without_folders import shown_command, without_folders
from lightning_nsd.settings.config_files import find_config


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/jane/runs/glyphs", "…/glyphs"),
        ("/home/Jane Doe/runs", "…/runs"),
        ("--data.root=/home/jane/my data", "--data.root=…/my data"),
        (r"C:\Users\jane\runs", "…/runs"),
        (r"could not open C:\Users\jane\x.png", "could not open …/x.png"),
        ('{"root": "/home/jane/x", "n": 1}', '{"root": "…/x", "n": 1}'),
        ("No such file: '/home/jane/x.png'", "No such file: '…/x.png'"),
        ("~/runs/a", "…/a"),
        ("~jane/runs/a", "…/a"),
        ("sqlite:////home/jane/mlflow.db", "sqlite:…/mlflow.db"),
        ("--trainer.logger.tracking_uri=file:///home/jane/mlruns", "--trainer.logger.tracking_uri=file:…/mlruns"),
        ("jane@host:/home/jane/x", "…/x"),
        ("path:/home/jane/z", "path:…/z"),
        ("https://jane:secret@server.org/runs/1", "https://server.org/runs/1"),
        ("hf://owner/name@main", "hf://owner/name@main"),
        ("at 12:30 it was lr 1e-3", "at 12:30 it was lr 1e-3"),
        ("…/a", "…/a"),
        ("runs/glyphs", "runs/glyphs"),
        ("hebrew/05D5", "hebrew/05D5"),
        ("1 / 2 and a/b", "1 / 2 and a/b"),
        ("/", "/"),
    ],
)
def test_of_an_absolute_path_the_last_name_is_left(text, shown):
    assert without_folders(text) == shown
    assert without_folders(shown) == shown


def test_a_home_with_spaces_is_known_inside_of_a_sentence(monkeypatch):
    monkeypatch.setenv("HOME", "/home/jane doe")
    assert without_folders("There is no file /home/jane doe/runs/a.ckpt.") == "There is no file …/a.ckpt."


def test_values_inside_of_others_are_found_and_numbers_stay():
    content = {"a": [1, None, {"b": "/x/y"}], "c": 2.5}
    assert without_folders(content) == {"a": [1, None, {"b": "…/y"}], "c": 2.5}


def test_a_shipped_config_is_shown_by_its_name():
    path = find_config("glyphs.yaml")
    assert shown_command(["fit", "--config", path, f"--config={path}"]) == [
        "fit", "--config", "glyphs.yaml", "--config=glyphs.yaml",
    ]  # fmt: skip
