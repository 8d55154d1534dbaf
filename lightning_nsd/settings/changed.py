"""Which settings of a run are not what the classes have by default, and who said so."""

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
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
    """Every setting that differs from its default, or has none.

    The defaults are those of the classes that the configuration names: what the parser makes of their names alone.

    Args:
        parser: that read the configuration.
        config: all settings.
        arguments: of the command line, configs as paths.
    """
    own = yaml.safe_load(parser.dump(config, skip_unset=False))
    needed = _classes_alone(own)
    bare = parser.parse_object(needed)
    defaults = flat(yaml.safe_load(parser.dump(bare, skip_unset=False, skip_validation=True)))
    for name in flat(needed):
        if not name.endswith("class_path"):
            defaults.pop(name, None)  # it has none
    files = [(Path(path).name, flat(read_config(path))) for path in configs_of(arguments)]
    options = dict(_options(arguments))
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
    """The same configuration without a setting but for the names of classes and what these cannot be made without."""
    if isinstance(content, list):
        return [_classes_alone(part) for part in content]
    kept = {}
    for name, value in content.items():
        if name == "class_path":
            kept[name] = value
            needed = {key: given for key, given in (content.get("init_args") or {}).items() if key in _needed(value)}
            if needed:
                kept["init_args"] = needed
        elif isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            inside = _classes_alone(value)
            if inside:
                kept[name] = {**kept.get(name, {}), **inside} if isinstance(inside, dict) else inside
    return kept


def _needed(class_path: str) -> set[str]:
    """Arguments of a class, which the parser has imported, or of one that it derives from, without a default."""
    module, _, name = class_path.rpartition(".")
    made: Any = getattr(importlib.import_module(module), name)
    classes = made.__mro__ if isinstance(made, type) else (made,)
    parameters = [each for of in classes for each in inspect.signature(_maker(of)).parameters.values()]
    return {each.name for each in parameters if each.default is each.empty}


def _maker(of: Any) -> Any:
    return vars(of).get("__init__", object) if isinstance(of, type) else of


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Names of options as settings, and whether their value is a whole section: a mapping, a list or a file."""
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, separator, value = argument.partition("=")
        if name.startswith("--"):
            value = value if separator else following
            yield _PLACES.sub("", name[2:]), value.startswith(("{", "[")) or value.endswith((".yaml", ".yml", ".json"))


def _said_by(name: str, options: Mapping[str, bool], files: Sequence[tuple[str, dict[str, Any]]]) -> str:
    plain = _PLACES.sub("", name)
    if plain in options or any(whole and plain.startswith(f"{option}.") for option, whole in options.items()):
        return COMMAND_LINE
    if plain.endswith(".class_path") and plain.removesuffix(".class_path") in options:
        return COMMAND_LINE
    return next((file for file, settings in reversed(files) if name in settings), "")
