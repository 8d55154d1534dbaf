"""`config.json` of a model's folder as hubs expect one: what is in it, and that nothing else is."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lightning_nsd.errors import UserError
from lightning_nsd.messages import some_of
from lightning_nsd.settings.numbers import cut, shown

CONFIG = "config.json"
FORMAT: Final = "lightning_nsd"
FORMAT_VERSION = 1
"""Raised when a reader of this version would misunderstand what a later one writes."""
MOST_BYTES = 10_000_000

Name = Annotated[str, Field(max_length=1_000)]
Setting = bool | int | float | Name


class _Strict(BaseModel):
    """No keys but those that are named, and no value turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Images(_Strict):
    """What the model takes and draws: images `(C, size, size)`, bytes / 127.5 − 1.

    Attributes:
        size: pixels along a side.
        channels: 1 (grey) or 3 (RGB).
        n_shot: images of a support set.
        range: of the values, [-1, 1].
    """

    size: int
    channels: int
    n_shot: int
    range: Annotated[list[float], Field(min_length=2, max_length=2)] = [-1.0, 1.0]


class DataSet(_Strict):
    """What the model was trained on; it is told, and nothing is read because of it.

    Attributes:
        name: of the data set's class.
        settings: those of its arguments that decide which images and which splits there are, without paths.
        classes: names of the classes of each split, in the order of their numbers; {} where they are not known.
    """

    name: Name
    settings: dict[Name, Setting] = {}
    classes: dict[Literal["train", "val", "test"], list[Name]] = {}


class HubConfig(_Strict):
    """The whole file.

    Attributes:
        format: says whose file it is.
        format_version: of this layout.
        package_version: of the package that wrote it.
        trained_steps: optimiser steps that the weights have taken.
        images: what the model takes and draws.
        model: `FewShotDiffusion.hyperparameters`, checked where the model is built, as those of checkpoints are.
        data: what it was trained on; null where that is not known.
    """

    format: Literal["lightning_nsd"] = FORMAT
    format_version: int = FORMAT_VERSION
    package_version: Name
    trained_steps: Annotated[int, Field(ge=0)]
    images: Images
    model: dict[str, Any]
    data: DataSet | None = None


def read_hub_config(folder: Path) -> HubConfig:
    """The configuration of a model's folder.

    Raises:
        UserError: it is missing, no JSON, of another program or a later version, or names the first keys that are
            unknown, missing or of another type.
    """
    path = folder / CONFIG
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path} is larger than {MOST_BYTES:,} bytes: that is no configuration of a model.")
        text = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        found = HubConfig.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"{path} is no configuration of a model of this package: {_wrong(error)}.") from error
    if found.format_version != FORMAT_VERSION:
        raise UserError(
            f"{path} is of format {found.format_version}, and this version of lightning-nsd reads format "
            f"{FORMAT_VERSION}. Version {found.package_version[:50]} wrote it: install that, or a later one."
        )
    told = {"image_size": found.images.size, "channels": found.images.channels, "n_shot": found.images.n_shot}
    for name, value in told.items():
        if found.model.get(name) != value:
            raise UserError(f"{path}: model.{name} is {shown(found.model.get(name))}, and images say {value}.")
    if found.images.range != [-1.0, 1.0]:
        raise UserError(f"{path}: images.range is {shown(found.images.range)}; models of this package draw in [-1, 1].")
    return found


def _wrong(error: ValidationError) -> str:
    """The first few things that are wrong, each with its key."""
    found = []
    for wrong in error.errors(include_url=False):
        where = cut(".".join(map(str, wrong["loc"])), 200)
        value = f" is {shown(wrong['input'])}" if where and wrong["type"] not in ("missing", "extra_forbidden") else ""
        found.append(f"{where}{value}: {cut(wrong['msg'], 200)}" if where else cut(wrong["msg"], 200))
    return some_of(found, "; ", shown=3)
