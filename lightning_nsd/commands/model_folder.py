"""What `convert --format hub` and `push` share: a model's folder from any file that can be converted."""

from collections.abc import Sequence
from pathlib import Path

from lightning_nsd.checkpoints.hub_config import DataSet, read_hub_config
from lightning_nsd.checkpoints.hub_folder import is_hub_folder
from lightning_nsd.commands.run_config import data_and_settings, find_run_config
from lightning_nsd.convert.weights import Weights
from lightning_nsd.hub.card import About
from lightning_nsd.hub.folder import describe_data, write_model_folder
from lightning_nsd.hub.run import RunOutputs, outputs_of
from lightning_nsd.settings.config_files import read_config
from lightning_nsd.terminal import console


def make_folder(output: Path, source: Path, weights: Weights, about: About, allow: Sequence[str]) -> None:
    """Write a model's folder, with what the run that it is from knows, and say what is not in it.

    Args:
        output: of the folder, which is not there.
        source: the file that was read; a run's configuration, pictures and distances lie beside it or above.
        weights: what it holds.
        about: for the card.
        allow: class paths that the run's configuration may name beside this package's own.

    Raises:
        UserError: the folder cannot be written, or a class is not trusted.
    """
    config = find_run_config(source)
    data, run = None, RunOutputs([], [], [])
    if is_hub_folder(source):
        data = read_hub_config(source).data
    elif config is not None:
        data = _data_of(config, allow)
        run = outputs_of(config.parent, weights.step)
    write_model_folder(output, weights.module, data, run, about)
    for path in run.unread:
        console().print(f"{path} cannot be read as distances, and is not in the card.")
    if not run.tables:
        console().print("No distances of these weights were found: the card has no figures.")


def _data_of(config: Path, allow: Sequence[str]) -> DataSet | None:
    """The data set of a run; None where its configuration names none."""
    section = read_config(config).get("data")
    if section is None:
        return None
    data, _ = data_and_settings([config], {}, None, trusted=False, allow=allow)
    arguments = section.get("init_args") if isinstance(section, dict) else None
    described, failure = describe_data(data, arguments or {})
    if failure:
        console().print(f"The classes' names are not in the folder, for the data cannot be read: {failure}")
    return described
