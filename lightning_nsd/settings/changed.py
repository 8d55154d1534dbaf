"""Which settings of a run are not what the classes have by default, and who said so."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonargparse import ArgumentParser, Namespace

from lightning_nsd.settings.config_files import configs_of, read_config

COMMAND_LINE = "command line"
_PLACES = re.compile(r"\.(init_args|\d+)(?=\.|$)")
"""What an option of the command line may leave out of a setting's name."""


class Changed(NamedTuple):
    """One setting.

    Attributes:
        name: dotted, without `init_args`.
        default: of the class.
        value: of the run.
        by: `command line`, the name of the last config that has it, or nothing where neither has.
    """

    name: str
    default: Any
    value: Any
    by: str


def changed_settings(parser: ArgumentParser, config: Namespace, arguments: Sequence[str]) -> list[Changed]:
    """Every setting that differs from its default.

    The defaults are those of the classes that the configuration names: what the parser makes of their names alone.

    Args:
        parser: that read the configuration.
        config: all settings.
        arguments: of the command line, configs as paths.
    """
    own = yaml.safe_load(parser.dump(config, skip_unset=False))
    bare = parser.parse_object(_classes_alone(own))
    defaults = flat(yaml.safe_load(parser.dump(bare, skip_unset=False, skip_validation=True)))
    files = [(Path(path).name, flat(read_config(path))) for path in configs_of(arguments)]
    options = [argument.partition("=")[0][2:] for argument in arguments if argument.startswith("--")]
    return [
        Changed(name, defaults.get(name), value, _said_by(name, options, files))
        for name, value in flat(own).items()
        if value != defaults.get(name)
    ]


def flat(content: Any) -> dict[str, Any]:
    """Every value of a configuration by its dotted name, without `init_args`; a list of settings by their numbers."""
    return dict(_flat(content, ""))


def _flat(content: Any, name: str) -> Iterator[tuple[str, Any]]:
    parts: list[tuple[Any, Any]] = []
    if isinstance(content, dict):
        parts = list(content.items())
    elif isinstance(content, list) and any(isinstance(part, dict) for part in content):
        parts = list(enumerate(content))
    for key, value in parts:
        yield from _flat(value, name if key == "init_args" else f"{name}.{key}".removeprefix("."))
    if not parts and name:
        yield name, content


def _classes_alone(content: Any) -> Any:
    """The same configuration without a setting but for the names of classes."""
    if isinstance(content, list):
        return [_classes_alone(part) for part in content]
    kept = {}
    for name, value in content.items():
        if name == "class_path":
            kept[name] = value
        elif isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            inside = _classes_alone(value)
            if inside:
                kept[name] = inside
    return kept


def _said_by(name: str, options: Sequence[str], files: Sequence[tuple[str, dict[str, Any]]]) -> str:
    if any(f"{_PLACES.sub('', name)}.".startswith(f"{_PLACES.sub('', option)}.") for option in options):
        return COMMAND_LINE
    return next((file for file, settings in reversed(files) if name in settings), "")
