"""Settings that differ from the defaults, and who said so."""

import pytest
from jsonargparse import ArgumentParser

from lightning_nsd.settings.changed import changed_settings, flat


class Part:
    def __init__(self, size: int = 3, kind: str = "plain") -> None:
        self.size = size


class Other(Part):
    def __init__(self, size: int = 5, more: float | None = None) -> None:
        super().__init__(size)


def changed(tmp_path, *arguments):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_subclass_arguments(Part, "part", required=False)
    parser.add_argument("--parts", type=list[Part])
    config = parser.parse_args(list(arguments))
    del config["config"]
    return {one.name: one[1:] for one in changed_settings(parser, config, arguments)}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"rate: 0.2\npart:\n  class_path: {__name__}.Other\n  init_args:\n    size: 7\n    more: 1.5\n")
    return path


class Needy(Part):
    def __init__(self, root: str, size: int = 3) -> None:
        super().__init__(size)


def test_what_a_class_cannot_be_made_without_is_listed_and_has_no_default(tmp_path):
    found = changed(tmp_path, f"--part={__name__}.Needy", "--part.root=here")
    assert found == {"part.root": (None, "here", "command line")}


def test_a_class_on_the_command_line_is_not_who_said_what_a_config_says_of_it(config, tmp_path):
    found = changed(tmp_path, f"--config={config}", f"--part={__name__}.Other")
    assert found["part.size"][2] == "mine.yaml"
    whole = changed(tmp_path, f"--config={config}", f"--part={{class_path: {__name__}.Other, init_args: {{size: 8}}}}")
    assert whole["part.size"] == (5, 8, "command line")


def test_what_is_a_default_is_not_listed(tmp_path):
    assert changed(tmp_path, "--rate=0.1") == {}


def test_a_setting_stands_beside_its_default_and_the_config_that_has_it(config, tmp_path):
    found = changed(tmp_path, f"--config={config}")
    assert found["rate"] == (0.1, 0.2, "mine.yaml")
    assert found["part.size"] == (5, 7, "mine.yaml")  # of the class that is named, not of its base
    assert found["part.more"] == (None, 1.5, "mine.yaml")


def test_the_command_line_comes_before_the_configs(config, tmp_path):
    found = changed(tmp_path, "--config", str(config), "--part.size", "9", "--rate=0.3")
    assert found["part.size"] == (5, 9, "command line")
    assert found["rate"] == (0.1, 0.3, "command line")
    assert found["part.more"][2] == "mine.yaml"


def test_a_value_of_the_config_that_is_the_default_is_not_listed(tmp_path):
    path = tmp_path / "same.yaml"
    path.write_text("rate: 0.1\n")
    assert changed(tmp_path, f"--config={path}") == {}


def test_settings_are_named_by_their_dots():
    content = {"a": {"class_path": "x", "init_args": {"b": [1, 2]}}, "c": [{"d": 1}, {"d": 2}], "e": {}}
    assert flat(content) == {"a.class_path": "x", "a.b": [1, 2], "c.0.d": 1, "c.1.d": 2, "e": {}}
