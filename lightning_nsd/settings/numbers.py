"""Numbers with bounds: the types of all counts, widths, rates, probabilities and intervals that can be set.

A bound is written once, as the type of an argument. To Python it is a plain int or float; `--help` shows it, the parser
refuses at once what lies outside, and a class under `bounded` refuses it wherever it is built from: Python, a
configuration or a checkpoint. So it does with names of which there are a few (`Literal`).
"""

import functools
import inspect
import numbers
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic_core import CoreSchema, core_schema

from lightning_nsd.errors import UserError

T = TypeVar("T")


class NotWithinError(Exception):
    """A value is no number within a bound, or no name that there is; says what it must be. Where it stands is for the
    caller to add."""


@dataclass(frozen=True, repr=False)
class Bound:
    """A whole number (where `low` is an int) or any number, from `low` to `high`, both included unless `open_*`.

    The upper bounds are far above anything sensible: they are there so that a slip is refused, which would otherwise
    fill the memory or run for ever.
    """

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def __repr__(self) -> str:
        kind = "whole number" if isinstance(self.low, int) else "number"
        low = f"{'above' if self.open_low else 'from'} {self.low:,.15g}"
        high = f"{'below' if self.open_high else 'to'} {self.high:,.15g}"
        return f"{kind} {low} {high}"

    def __call__(self, value: object) -> int | float:
        """The value as a plain int or float; text, as a command line gives it, is read.

        Raises:
            NotWithinError: it is no such number.
        """
        number = _read(value, whole=isinstance(self.low, int))
        if (
            number is None
            or not self.low <= number <= self.high
            or (self.open_low and number == self.low)
            or (self.open_high and number == self.high)
        ):
            raise NotWithinError(f"it must be a {self}")
        return number

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        """How the parser asks."""
        return core_schema.no_info_plain_validator_function(self)


# The parser (jsonargparse) asks metadata for its opinion only where it is of pydantic's or of this library.
Bound.__module__ = "annotated_types"


def _read(value: object, whole: bool) -> int | float | None:
    """The number that a value is, or that its text says; None where it is none."""
    try:
        if isinstance(value, str):
            return int(value) if whole else float(value)
        if isinstance(value, bool):
            return None
        if isinstance(value, numbers.Integral):
            return int(value) if whole else float(value)
        return float(value) if isinstance(value, numbers.Real) and not whole else None
    except (ValueError, OverflowError):
        return None


Pixels = Annotated[int, Bound(1, 1024)]
Channels = Annotated[int, Bound(1, 1024)]
Entries = Annotated[int, Bound(2, 65_536)]
Shots = Annotated[int, Bound(1, 1000)]
Width = Annotated[int, Bound(1, 65_536)]
Depth = Annotated[int, Bound(1, 1000)]
Heads = Annotated[int, Bound(1, 1024)]
Multiplier = Annotated[int, Bound(1, 256)]
Factor = Annotated[int, Bound(2, 1024)]
Ratio = Annotated[float, Bound(0.0, 64.0, open_low=True)]
Temperature = Annotated[float, Bound(0.01, 100.0)]
Probability = Annotated[float, Bound(0.0, 1.0, open_high=True)]
Fraction = Annotated[float, Bound(0.0, 1.0)]
Weight = Annotated[float, Bound(0.0, 1e6)]
RATE = Bound(0.0, 1000.0)
Rate = Annotated[float, RATE]
Guidance = Annotated[float, Bound(-1000.0, 1000.0)]
Timesteps = Annotated[int, Bound(1, 100_000)]
Timestep = Annotated[int, Bound(0, 99_999)]
Batch = Annotated[int, Bound(1, 65_536)]
Classes = Annotated[int, Bound(1, 1_000_000)]
ClassNumber = Annotated[int, Bound(0, 999_999)]
Episodes = Annotated[int, Bound(1, 1_000_000)]
EpochEpisodes = Annotated[int, Bound(1, 1_000_000_000)]
Images = Annotated[int, Bound(1, 10_000)]
Samples = Annotated[int, Bound(2, 10_000_000)]
MixtureSamples = Annotated[int, Bound(0, 10_000_000)]
BitsSamples = Annotated[int, Bound(0, 10_000_000)]
BitsTimesteps = Annotated[int, Bound(3, 100_000)]
Port = Annotated[int, Bound(1, 65_535)]
Steps = Annotated[int, Bound(0, 1_000_000_000)]
Interval = Annotated[int, Bound(1, 1_000_000_000)]
Kept = Annotated[int, Bound(2, 1_000_000)]
SEED = Bound(0, 2**32 - 1)
Seed = Annotated[int, SEED]


def bounded(section: str) -> Callable[[type[T]], type[T]]:
    """A class whose constructor checks numbers and names among its arguments; numbers become plain int and float.

    Args:
        section: where a configuration has the class's arguments, named in errors.
    """

    def decorate(cls: type[T]) -> type[T]:
        init = cls.__init__
        signature = inspect.signature(init)
        checks = _checks_of(init)

        @functools.wraps(init)
        def checked(self: T, *args: Any, **kwargs: Any) -> None:
            given = signature.bind(self, *args, **kwargs)
            for name in checks.keys() & given.arguments.keys():
                value = given.arguments[name]
                try:
                    given.arguments[name] = checks[name](value)
                except NotWithinError as error:
                    raise UserError(f"{section}.{name} is {shown(value)}; {error}.") from None
            init(*given.args, **given.kwargs)

        cls.__init__ = checked  # type: ignore[assignment, method-assign]
        return cls

    return decorate


def as_numbers(cls: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a class, its bounded numbers as plain int and float; what is out of bounds stays as it is."""
    try:
        checks = _checks_of(cls.__init__)  # type: ignore[misc]
    except Exception:  # names that only a type checker can resolve, in a class of somebody else's
        return dict(arguments)
    numbers = dict(arguments)
    for name in checks.keys() & arguments.keys():
        with suppress(NotWithinError):
            numbers[name] = checks[name](arguments[name])
    return numbers


def check_numbers(prefix: str, bounds: Mapping[str, Bound], values: Mapping[str, object]) -> None:
    """Whether numbers that others define lie within bounds of ours; what is no number is theirs to judge.

    Raises:
        UserError: names the first that does not.
    """
    for name in bounds.keys() & values.keys():
        value = values[name]
        if _read(value, whole=False) is not None:
            try:
                bounds[name](value)
            except NotWithinError as error:
                raise UserError(f"{prefix}{name} is {shown(value)}; {error}.") from None


def shown(value: object) -> str:
    """A value in an error."""
    return cut(repr(value) if isinstance(value, str) else str(value))


def cut(text: str, length: int = 60) -> str:
    """Text in an error, where it is long its beginning."""
    return text if len(text) <= length else f"{text[:length]}…"


def _checks_of(init: Callable[..., None]) -> dict[str, Callable[[Any], Any]]:
    """What the bounds and choices in a constructor's signature ask of its arguments, by their names."""
    hints = get_type_hints(init, include_extras=True)
    asked = {name: [_check_of(hint), _choice_of(hint)] for name, hint in hints.items() if name != "return"}
    return {name: _one_after_another(found) for name, checks in asked.items() if (found := [c for c in checks if c])}


def _one_after_another(checks: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        for each in checks:
            value = each(value)
        return value

    return check


def _choice_of(hint: Any) -> Callable[[Any], Any] | None:
    """What the names in a type hint ask of a text; None where there are none, or any text will do."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    names = [name for member in members if get_origin(member) is Literal for name in get_args(member)]
    if not names or str in members:
        return None

    def check(value: Any) -> Any:
        if isinstance(value, str) and value not in names:
            raise NotWithinError(f"it must be one of {', '.join(map(str, names))}")
        return value

    return check


def _check_of(hint: Any) -> Callable[[Any], Any] | None:
    """What the bounds within a type hint ask of a value; None where there are none."""
    bound = next((item for item in getattr(hint, "__metadata__", ()) if isinstance(item, Bound)), None)
    if bound is not None:
        return bound
    parts = [check for part in get_args(hint) if (check := _check_of(part)) is not None]
    if not parts:
        return None
    if get_origin(hint) not in (Union, UnionType):
        return functools.partial(_check_items, parts[0])
    of_number = next((part for part in parts if isinstance(part, Bound)), None)
    of_list = next((part for part in parts if not isinstance(part, Bound)), None)

    def check_member(value: Any) -> Any:
        fitting = of_list if isinstance(value, list | tuple) else of_number if isinstance(value, numbers.Real) else None
        return fitting(value) if fitting else value

    return check_member


def _check_items(check: Callable[[Any], Any], values: Any) -> Any:
    """A sequence, item by item."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise NotWithinError(f"it must be a list, each item a {check}")
    items = [check(value) for value in values]
    return tuple(items) if isinstance(values, tuple) else items
