"""Finding configuration files: a path first, then the ones that are shipped."""

from collections.abc import Sequence
from pathlib import Path

from lightning_nsd.errors import UserError

CONFIG_OPTIONS = ("--config", "-c")


def shipped_folder() -> Path:
    """The folder of shipped configs: inside an installed package, beside it in a checkout."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "configs"


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
