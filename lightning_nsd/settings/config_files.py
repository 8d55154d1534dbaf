"""Finding and reading configuration files: a path first, then the ones that are shipped."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader

from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import cut, shown

CONFIG_OPTIONS = ("--config", "-c")
MOST_BYTES = 10_000_000
MOST_VALUES = 100_000
"""Values of a configuration with every alias unfolded."""
DEEPEST = 100


def shipped_folder() -> Path:
    """The folder of shipped configs: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def find_config(name: str) -> str:
    """The path of a config.

    Raises:
        UserError: found nowhere; lists the shipped ones.
    """
    if Path(name).is_file():
        return name
    shipped = shipped_folder() / name
    if shipped.is_file():
        return str(shipped)
    names = ", ".join(sorted(path.name for path in shipped_folder().glob("*.yaml")))
    raise UserError(f"There is no config {name}: not a file here, and not a shipped one. Shipped: {names}.")


def read_config(path: str | Path) -> dict[str, Any]:
    """The sections of a configuration file.

    Raises:
        UserError: it cannot be read, is not UTF-8, no YAML, or does not hold sections.
    """
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise UserError(f"{path} is larger than {MOST_BYTES:,} bytes: that is no configuration.")
        content = load_yaml(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is to hold sections, such as trainer and model; it holds {shown(content)}.")
    return content


def with_config_paths(arguments: Sequence[str]) -> list[str]:
    """The command line with every `--config NAME` replaced by a path."""
    found: list[str] = []
    expect_name = False
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if expect_name:
            found.append(find_config(argument))
        elif option in CONFIG_OPTIONS and equals:
            found.append(f"{option}={find_config(value)}")
        else:
            found.append(argument)
        expect_name = argument in CONFIG_OPTIONS and not expect_name
    return found


def configs_of(arguments: Sequence[str]) -> Iterator[str]:
    """The paths that `--config` names in a command line."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        option, equals, value = argument.partition("=")
        if before in CONFIG_OPTIONS:
            yield argument
        elif option in CONFIG_OPTIONS and equals:
            yield value


def check_sections(content: Any, defaults: Mapping[str, Any], source: str, within: str = "") -> None:
    """Whether everything that is a section of settings by default is one in a configuration too.

    The parser takes anything else for an empty section, and so for the defaults.

    Raises:
        UserError: names the section.
    """
    for name in content.keys() & defaults.keys():
        value, default = content[name], defaults[name]
        if isinstance(default, dict) and default and "class_path" not in default:
            if not isinstance(value, dict):
                given = "empty" if value is None else shown(value)
                raise UserError(
                    f"{source}: {within}{name} is {given}; it must be a mapping of names to values. Leave it out for "
                    "the defaults."
                )
            check_sections(value, default, source, f"{within}{name}.")


_load_yaml = get_loader("yaml")


def load_yaml(text: str) -> Any:
    """The parser's own reading of YAML, within bounds.

    Raises:
        UserError: a value that holds itself or cannot be read, or more values than a configuration has.
        yaml.YAMLError: no YAML.
    """
    check_size(text)
    try:
        return _load_yaml(text)
    except yaml.YAMLError:
        raise
    except Exception as error:  # YAML's constructors let through whatever Python's raise
        raise UserError(f"it holds a value that cannot be read: {cut(str(error), 200)}.") from error


set_loader("yaml", load_yaml, exceptions=(yaml.YAMLError,))  # also for what a command line gives as YAML


def check_size(text: str) -> None:
    """How many values YAML text unfolds to and how deep they lie, found without unfolding it.

    Raises:
        UserError: too many, too deep, or a value that holds itself.
        yaml.YAMLError: no YAML.
    """
    sizes: dict[str | None, int] = {}  # of every finished value that has a name
    open_names: list[str | None] = []
    open_sizes = [0]
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            open_names.append(event.anchor)
            open_sizes.append(1)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in open_names:
                raise UserError(f"the value &{event.anchor} holds itself (*{event.anchor}).")
            open_sizes[-1] += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            sizes[event.anchor] = 1
            open_sizes[-1] += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            size = open_sizes.pop()
            sizes[open_names.pop()] = size
            open_sizes[-1] += size
        if open_sizes[-1] > MOST_VALUES:
            raise UserError(f"it unfolds to more than {MOST_VALUES:,} values: that is no configuration.")
        if len(open_names) > DEEPEST:
            raise UserError(f"its values lie more than {DEEPEST} deep: that is no configuration.")
