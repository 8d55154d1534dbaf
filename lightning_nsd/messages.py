"""What an exception says to a user."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import cut

_KEY = re.compile(r'^(?P<indent> *).*?Parser key "(?P<key>[^"]+)":', re.MULTILINE)
_NESTED = re.compile(r"NestedArg\(key='(.*?)', val=(.*)\)$")
_VALUES = (
    re.compile(r"Got value: (?!Namespace\()(.*?)(?:\. Got value: .*)?$", re.MULTILINE),
    re.compile(r"Given value: (?!Namespace\()(.*?)(?:\. Got value: .*)?$", re.MULTILINE),
    re.compile(r"dot import path string: (.*)$", re.MULTILINE),
    re.compile(r"class_path='([\w.]+)'"),
)
_CLASS = re.compile(r"class_path[ =]'([\w.]+)'")
_NOT_ACCEPTED = re.compile(r"Option '([^']+)' is not accepted")
_NO_SECTION = re.compile(r"Unable to load config '(.*)'")
_ATTEMPT = re.compile(r"Type .* expects a function or a callable class: *")
_NO_SUBCLASS = re.compile(r"Expected '([\w.]+)' to be .* <class '([\w.]+)'>")
_MOVED = {
    "lightning_nsd.xla.trace_report": "lightning_nsd.accelerators.trace_report",
    "lightning_nsd.xla": "lightning_nsd.accelerators.xla",
}
"""Modules of classes that configurations of earlier versions name → where they are now; the more exact ones first."""
_REPEATS = (
    "Does not validate against any of the Union subtypes",
    "Subtypes:",
    "Errors:",
    "Given value",
    "Problem with given class_path",
    "Expected a path but",
    "Subclass types expect one of",
    "a class path (str)",
    "a dict with",
    "Unable to load config",
)
_KINDS = {
    "bool": ("true", "false"),
    "int": ("a whole number",),
    "float": ("a number",),
    "str": ("text",),
    "list": ("a list",),
    "Iterable": ("a list",),
    "Sequence": ("a list",),
    "dict": ("a mapping of names to values",),
    "NoneType": ("null",),
    "timedelta": ("a time",),
}


class _Setting(NamedTuple):
    """What a parser says about one setting: its dotted name, and the lines about it."""

    path: str
    text: str


def readable(message: str) -> str:
    """A parser's message as one sentence: which setting, what it is, and what it must be.

    What is of no form that the parser has for a wrong value is said in its own words, without the lines that repeat the
    configuration or speak of Python's types. Of a class that has moved it is said where it is now.
    """
    path, text = _innermost(message)
    unknown, no_section = _NOT_ACCEPTED.search(text), _NO_SECTION.search(text)
    if not path:
        lines = [line.strip(" -") for line in message.splitlines()]
        return "\n".join(line for line in lines if line and not line.startswith((*_REPEATS, "Expected a")))
    if unknown:
        owner = _last_name((_CLASS.findall(message) or [path])[-1])
        return f"{path}.{unknown[1]}: {owner} takes no {unknown[1]}. --{path}.help {owner} lists what it takes."
    if no_section:
        return f"{path} is {cut(no_section[1])}; it must be a mapping of names to values, or a file that holds one."
    path, value = _value(path, text)
    moved = _moved(message)
    if moved:
        return f"{path}: {moved}"
    expected: list[str] = []
    other: list[str] = []
    for line in text.splitlines():
        line = _ATTEMPT.sub("", line.strip(" -"))
        if line and not line.startswith(_REPEATS):
            kinds = _expected(line)
            expected.extend(kinds or ())
            other.extend([] if kinds is not None else [_in_our_words(line)])
    if other or not expected:
        return f"{path} is {value}: {'; '.join(dict.fromkeys(other)) or 'it cannot be that'}."
    *others, last = dict.fromkeys(expected)
    allowed = f"{', '.join(others)} or {last}" if others else last
    return f"{path} is {value}; it must be {allowed}."


def _moved(text: str) -> str:
    """Where the first class in a text is now that an earlier version had elsewhere; empty without one."""
    for before, now in _MOVED.items():
        found = re.search(rf"\b{re.escape(before)}\.(\w[\w.]*\w)", text)
        if found:
            return f"{found[0]} is called {now}.{found[1]} now."
    return ""


def _innermost(message: str) -> _Setting:
    """The innermost setting of which a parser speaks, at its first attempt."""
    path = ""
    depth, end = -1, 0
    for found in _KEY.finditer(message):
        if len(found["indent"]) <= depth:
            break  # another attempt at the same setting
        if found["key"] != path:
            path = f"{path}.{found['key']}" if path else found["key"]
            depth, end = len(found["indent"]), found.end()
    about = []
    for line in message[end:].splitlines():
        if depth > 0 and line.strip() and len(line) - len(line.lstrip()) <= depth:
            break  # about the setting that holds this one
        about.append(line)
    return _Setting(path, "\n".join(about))


def _value(path: str, text: str) -> tuple[str, str]:
    """The setting's value, and its name where the value is that of a part of it."""
    found = next((match[1] for pattern in _VALUES if (match := pattern.search(text))), "").strip()
    nested = _NESTED.match(found)
    if nested:
        path, found = f"{path}.{nested[1]}", nested[2].strip("'")
    return path, cut(found) or "empty"


def _expected(line: str) -> list[str] | None:
    """What may stand there, of a line that says it; None for any other line."""
    line = re.split(r"\.? Got value:", line)[0]
    if line.startswith("it must be "):
        return [line.removeprefix("it must be ")]
    choice = re.match(r"Expected an? typing\.Literal\[(.*)\]", line)
    if choice:
        return [name.strip().strip("'") for name in choice[1].split(",")]
    if line.startswith(("Expected a dot import path string", "Not a valid subclass")):
        return ["the name of a class"]
    kind = re.match(r"Expected an? (?:<class )?'?([\w.]+)'?>?", line)
    return [*_KINDS.get(_last_name(kind[1]), (_last_name(kind[1]),))] if kind else None


def _in_our_words(line: str) -> str:
    line = re.split(r"\.* Got value:", line)[0]
    wrong = _NO_SUBCLASS.match(line)
    return f"{wrong[1]} is no {_last_name(wrong[2])}" if wrong else line


def _last_name(path: str) -> str:
    return path.rpartition(".")[2]


def user_error_in(error: BaseException | None) -> UserError | None:
    """The UserError that an exception is, or that it was raised from: parsers wrap what constructors raise."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def reason(error: BaseException) -> str:
    """Why something failed, for the inside of a sentence: the system's own words and the file, or kind and message."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


def some_of(items: Sequence[str], separator: str, shown: int = 5) -> str:
    """The first few of a list in a sentence, and how many more there are."""
    more = f"{separator}and {len(items) - shown} more" if len(items) > shown else ""
    return separator.join(items[:shown]) + more


def first_line(error: BaseException) -> str:
    """What an exception says, in a user's words and not at length."""
    text = str(user_error_in(error) or readable(str(error)))
    return cut(next(filter(None, text.splitlines()), type(error).__name__), 300)
