"""What the configuration of a run says about its data and its distances, found beside a checkpoint or named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.checkpoints.settings import class_name
from lightning_nsd.checkpoints.trusted_classes import trusted_class, trusted_description, trusted_settings
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.settings import EvaluationSettings
from lightning_nsd.extractors import NAMES
from lightning_nsd.messages import readable
from lightning_nsd.runs.folder import CONFIG_FILE
from lightning_nsd.settings.config_files import check_sections, read_config
from lightning_nsd.settings.numbers import SEED, NotWithinError, shown


def find_run_config(path: Path) -> Path | None:
    """The configuration of the run that a checkpoint lies in: beside it, or in the folder above."""
    beside = (folder / CONFIG_FILE for folder in (path.parent, path.parent.parent))
    return next((file for file in beside if file.is_file()), None)


def config_of(path: Path) -> Path:
    """The same where there has to be one.

    Raises:
        UserError: there is none.
    """
    found = find_run_config(path)
    if found is not None:
        return found
    raise UserError(
        f"There is no {CONFIG_FILE} beside {path} or in the folder above, so that it is not known which data it is to "
        "be compared with. Name a configuration with --config."
    )


def data_and_settings(
    paths: Sequence[Path], given: dict[str, Any], n_shot: int | None, trusted: bool, allow: Sequence[str]
) -> tuple[EpisodeDataModule, EvaluationSettings]:
    """The data of configurations laid over each other, and their `fid` section with what was given on top.

    Raises:
        UserError: not a run's configuration, or one found beside a checkpoint that would import foreign code.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(EpisodeDataModule, "data")
    parser.add_class_arguments(PerClassFID, "fid")
    merged, seed = None, 0
    for path in paths:
        content = _read(path)
        sections = {name: content[name] for name in ("data", "fid") if content.get(name) is not None}
        if not trusted:
            sections = _trusted_sections(sections, str(path), allow)
        try:
            merged = parser.parse_object(sections, namespace=merged)
            seed = seed if content["seed_everything"] is None else int(content["seed_everything"])
        except (ArgumentError, TypeError, ValueError) as error:
            raise UserError(f"{path}: {readable(str(error))}") from error
    if merged is None or merged.get("data") is None:
        raise UserError(f"{paths[-1]} is not the configuration of a run: it has no section data.")
    merged.data.init_args.seed = seed
    if n_shot is not None:
        merged.data.init_args.n_shot = n_shot
    for name, value in given.items():
        merged.fid[name] = value
    made = parser.instantiate(merged)
    return made.data, made.fid.evaluator.settings


def _read(path: Path) -> dict[str, Any]:
    """A configuration, of whose sections those that count here are known to be some.

    Raises:
        UserError: it cannot be read, or a section or the seed is something else.
    """
    content = read_config(path)
    if "fid" in content:
        check_sections({"fid": content["fid"]}, {"fid": {"classes": None}}, str(path))
    seed = content.setdefault("seed_everything", None)
    if seed is not None:
        try:
            SEED(seed)
        except NotWithinError as error:
            raise UserError(f"{path}: seed_everything is {shown(seed)}; {error}.") from None
    return content


def _trusted_sections(sections: dict[str, Any], source: str, allow: Sequence[str]) -> dict[str, Any]:
    """The sections of a configuration that was found, not named, with every class in it one that is trusted."""
    trusted: dict[str, Any] = {}
    if "data" in sections:
        trusted["data"] = trusted_description("data", sections["data"], source, allow)
    if "fid" in sections:
        fid = sections["fid"]
        extractor = fid.get("extractor") if isinstance(fid, dict) else None
        known = isinstance(extractor, str) and extractor in NAMES
        named = {name: value for name, value in fid.items() if name != "extractor"} if extractor is not None else fid
        trusted["fid"] = trusted_settings(named, EvaluationSettings, source, allow)
        if extractor is not None:
            own = extractor if known else class_name(trusted_class("extractor", extractor, source, allow))
            trusted["fid"]["extractor"] = own
    return trusted
