"""Text that is shown to others: of an absolute path it says the last name alone, and no account."""

import re
from collections.abc import Sequence
from os.path import expanduser
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from lightning_nsd.settings.config_files import shipped_folder

_LETTERS = r"[^\s'\"<>|,;:()\[\]{}/\\]"
_IN_TEXT = re.compile(rf"(?<![\w.…/~-])(?:~[\w.-]*|[A-Za-z]:(?=\\))?[/\\](?:{_LETTERS}+[/\\])*({_LETTERS}+)[/\\]?")
"""An absolute path inside of a text, up to the first character that seldom is in one; and its last name."""
_ACCOUNT = re.compile(r"(?<=://)[^/@\s]+@|[\w.-]+@[\w.-]+:(?=/)")
"""Who is to log in: in an address, or before a path on another machine."""
_LOCAL = re.compile(r"(?<=\w:)//+(?=/)")
"""What stands between a scheme and a path of this machine, as in `sqlite:////home`."""


def without_folders(value: Any) -> Any:
    """The same with `…/name` for every absolute path, wherever in a plain value it stands."""
    if isinstance(value, dict):
        return {without_folders(name): without_folders(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(inside) for inside in value]
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str):
        return value
    option, equals, after = value.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={without_folders(after)}"
    for kind in (PurePosixPath, PureWindowsPath):
        if (path := kind(value)).is_absolute() and path.name and "\n" not in value:
            return f"…/{path.name}"
    home = expanduser("~")
    if len(home) > 1:
        value = value.replace(f"{home}/", "~/")  # it may hold spaces, at which a path in a text would end
    return _IN_TEXT.sub(r"…/\1", _LOCAL.sub("", _ACCOUNT.sub("", value)))


def shown_command(arguments: Sequence[str]) -> list[str]:
    """A command's arguments as they may be shown: shipped configs by their name alone."""
    shipped = str(shipped_folder())
    found = []
    for argument in arguments:
        option, equals, value = argument.rpartition("=")
        is_shipped = value.startswith(shipped) and Path(value).parent == shipped_folder()
        found.append(f"{option}{equals}{Path(value).name}" if is_shipped else without_folders(argument))
    return found
