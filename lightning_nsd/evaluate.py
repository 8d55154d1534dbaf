"""`python -m lightning_nsd evaluate`: the distances of every class, of a checkpoint or of two folders of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser

from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.checkpoint_io import read_checkpoint
from lightning_nsd.data.datamodule import EpisodeDataModule, Split
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.evaluator import Evaluator, Settings
from lightning_nsd.evaluation.files import folder_of, write_tables
from lightning_nsd.evaluation.folders import compare_folders
from lightning_nsd.evaluation.processes import Processes
from lightning_nsd.evaluation.publish import publish
from lightning_nsd.evaluation.report import Report
from lightning_nsd.function_cli import run_function
from lightning_nsd.hyperparameters import check_importable
from lightning_nsd.loading import load_checkpoint
from lightning_nsd.messages import reason
from lightning_nsd.shown import Shown

CONFIG_FILE = "config.yaml"


def evaluate(
    ckpt_path: Path | None = None,
    split: Split = "test",
    real_dir: Path | None = None,
    generated_dir: Path | None = None,
    config: Path | None = None,
    out: Path | None = None,
    image_size: int | None = None,
    classes: int | list[str] | None = None,
    num_samples: int | None = None,
    min_samples: int | None = None,
    batch_size: int | None = None,
    extractor: str | None = None,
    extractor_args: dict[str, Any] | None = None,
    mixture_samples: int | None = None,
    cache_dir: str | None = None,
) -> None:
    """Distances of every class of a checkpoint's data, or of two folders of class folders made by anybody.

    Options that are not given are those of the run's `fid` section, or PerClassFID's own.

    Args:
        ckpt_path: checkpoint of a trained model.
        split: whose classes the model draws.
        real_dir: folder of class folders of real images, instead of a checkpoint.
        generated_dir: folder of class folders of the same names, of generated images.
        config: the run's configuration, for its data; `config.yaml` in the checkpoint's run where not given.
        out: folder for tables and chart; the run's folder, or the current one.
        image_size: size that images of folders are cut and resized to; that of the first real one where not given.
        classes: names of classes, or a number of classes drawn with the seed; all where not given.
        num_samples: images per class, real and generated alike.
        min_samples: classes with fewer images are NaN.
        batch_size: images that the sampler draws at once.
        extractor: inception, efficientnet_lite0, glyphnet, or the class path of a torch module.
        extractor_args: of the extractor's constructor, such as weights_path.
        mixture_samples: also one distance over all classes together, with so many images.
        cache_dir: folder for features of real images.

    Raises:
        UserError: something that is missing, cannot be read, or does not go together.
    """
    options: dict[str, Any] = {
        "classes": classes, "num_samples": num_samples, "min_samples": min_samples, "batch_size": batch_size,
        "extractor": extractor, "extractor_args": extractor_args, "mixture_samples": mixture_samples,
        "cache_dir": cache_dir,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    if "extractor" in given:
        given.setdefault("extractor_args", {})  # another's arguments are of no use to it
    folders = (real_dir, generated_dir)
    if ckpt_path is not None and folders == (None, None):
        root, report = _of_checkpoint(ckpt_path, split, config, out, given)
    elif ckpt_path is None and real_dir is not None and generated_dir is not None:
        root, settings = out or Path(), Settings(**given)
        report = compare_folders(real_dir, generated_dir, settings, image_size, _device())
    else:
        raise UserError("evaluate needs --ckpt_path, or --real-dir and --generated-dir, and not both.")
    try:
        publish(report, root)
    except OSError as error:
        raise UserError(
            f"The distances above cannot be written to {folder_of(root, report)} ({reason(error)}). Name another "
            "folder with --out."
        ) from error


def _of_checkpoint(
    path: Path, split: Split, config: Path | None, out: Path | None, given: dict[str, Any]
) -> tuple[Path, Report]:
    """The folder to write to, and the report."""
    step = int(read_checkpoint(path)["global_step"])
    found = config or _config_of(path)
    data, settings = _data_and_settings(found, given, trusted=config is not None)
    module = load_checkpoint(path).to(_device())
    if (module.image_size, module.channels) != (data.image_size, data.channels):
        raise UserError(
            f"{path} draws images of {module.image_size} pixels and {module.channels} channels, {found} reads "
            f"images of {data.image_size} and {data.channels}. Name the run's own configuration with --config."
        )
    root = out or found.parent
    data.prepare_data()
    shown = Shown("The table of the classes so far")

    def write_partial(report: Report) -> None:
        with shown:
            write_tables(folder_of(root, report), report)

    evaluator = Evaluator(settings, on_row=write_partial)
    evaluator.check(module)
    evaluator.extractor()  # one that cannot be loaded is an error here, before anything is drawn
    return root, evaluator.run(module, data, split, step, Processes())


def _config_of(path: Path) -> Path:
    for folder in (path.parent, path.parent.parent):
        if (folder / CONFIG_FILE).is_file():
            return folder / CONFIG_FILE
    raise UserError(
        f"There is no {CONFIG_FILE} beside {path} or in the folder above, so that it is not known which data it is to "
        "be compared with. Name a configuration with --config."
    )


def _data_and_settings(path: Path, given: dict[str, Any], trusted: bool) -> tuple[EpisodeDataModule, Settings]:
    """The data of a configuration, and its `fid` section with what was given on top.

    Raises:
        UserError: not a run's configuration, or one found beside a checkpoint that would import foreign code.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        sections = {"data": dict(content["data"]), "fid": {**content.get("fid", {}), **given}}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not the configuration of a run: {error!r}") from error
    if not trusted:
        check_importable(sections, str(path))
    arguments = sections["data"].setdefault("init_args", {})
    arguments["seed"] = int(content.get("seed_everything") or 0)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(EpisodeDataModule, "data")
    parser.add_class_arguments(PerClassFID, "fid")
    try:
        made = parser.instantiate(parser.parse_object(sections))
    except ArgumentError as error:
        raise UserError(f"{path}: {error}") from error
    return made.data, made.fid.evaluator.settings


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main(arguments: Sequence[str]) -> None:
    """The command line of `evaluate`."""
    run_function(evaluate, arguments)
