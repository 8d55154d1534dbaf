"""What a model was trained on, as far as the files beside its weights say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lightning_nsd.checkpoints.hub_config import read_hub_config
from lightning_nsd.checkpoints.hub_folder import is_hub_folder
from lightning_nsd.commands.run_config import data_and_settings, find_run_config
from lightning_nsd.data import Glyphs
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.errors import UserError


class TrainedOn(NamedTuple):
    """What is known of a model's data.

    Attributes:
        name: of the data set's class; None where nothing is known.
        data: the data set, which is not read yet; None where its place is not known.
    """

    name: str | None = None
    data: EpisodeDataModule | None = None


def trained_on(path: Path, allow: Sequence[str] = ()) -> TrainedOn:
    """The data of a model: of a checkpoint by the configuration of its run, of a model's folder by its own.

    What cannot be used there is no reason not to draw, and is said on the terminal.

    Args:
        path: of the checkpoint or the folder, which could be loaded.
        allow: class paths that a configuration may name beside this package's own.
    """
    try:
        return _of_folder(path) if is_hub_folder(path) else _of_run(path, allow)
    except UserError as error:
        print(f"{error} The page offers no examples of what {path} was trained on.")
        return TrainedOn()


def _of_folder(path: Path) -> TrainedOn:
    """A folder tells the name of its data; the glyphs alone come with this package, and are found by it."""
    told = read_hub_config(path)
    if told.data is None:
        return TrainedOn()
    if told.data.name != Glyphs.__name__:
        return TrainedOn(told.data.name)
    given = told.data.settings
    scripts: dict[str, Any] = {name: given[name] for name in ("val_script", "test_script") if name in given}
    return TrainedOn(told.data.name, Glyphs(image_size=told.images.size, n_shot=told.images.n_shot, **scripts))


def _of_run(path: Path, allow: Sequence[str]) -> TrainedOn:
    config = find_run_config(path)
    if config is None:
        return TrainedOn()
    data, _ = data_and_settings([config], {}, None, trusted=False, allow=allow)
    return TrainedOn(type(data).__name__, data)
