"""`python -m lightning_nsd evaluate`: the distances of every class, of a checkpoint or of two folders of images."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn

from lightning_nsd.checkpoints.loading import load_checkpoint
from lightning_nsd.checkpoints.places import find_model
from lightning_nsd.checkpoints.trusted_classes import as_names
from lightning_nsd.commands.function_cli import run_function
from lightning_nsd.commands.npz_option import check_npz_place, write_npz_option
from lightning_nsd.commands.run_config import config_of, data_and_settings
from lightning_nsd.commands.sampler_options import SamplerName, choose_sampler
from lightning_nsd.data.datamodule import Split
from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.evaluator import Evaluator
from lightning_nsd.evaluation.files import CSV_FILE, folder_of, write_tables
from lightning_nsd.evaluation.fitted_data import FittedData
from lightning_nsd.evaluation.folders import compare_folders
from lightning_nsd.evaluation.publish import publish
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.settings import EvaluationSettings
from lightning_nsd.files.whole_file import check_place
from lightning_nsd.messages import reason
from lightning_nsd.processes.group import Processes
from lightning_nsd.runs.folder import DISTANCE_FOLDER
from lightning_nsd.settings.config_files import find_config
from lightning_nsd.settings.numbers import Factor, Guidance, Pixels, Shots, Timestep, Timesteps
from lightning_nsd.shown import Shown

Choice = Callable[..., Sampler]
"""`choose_sampler` with what the command line asks for."""


def evaluate(
    ckpt_path: Path | None = None,
    split: Split = "test",
    real_dir: Path | None = None,
    generated_dir: Path | None = None,
    config: list[Path] | None = None,
    out: Path | None = None,
    image_size: Pixels | None = None,
    n_shot: Shots | None = None,
    sampler: SamplerName | None = None,
    steps: Timesteps | None = None,
    guidance: Guidance | None = None,
    guidance_interval: list[Timestep] | None = None,
    ilvr_factor: Factor | None = None,
    ilvr_until: Timestep | None = None,
    npz: Path | None = None,
    allow: str | list[str] | None = None,
    autoencoder: Path | None = None,
    backbone: Path | None = None,
    **settings: Any,
) -> None:
    """Distances of every class of a checkpoint's data, or of two folders of class folders made by anybody.

    Args:
        ckpt_path: checkpoint of a trained model, its folder, or `hf://owner/name`.
        split: whose classes are generated.
        real_dir: folder of class folders of real images, instead of a checkpoint.
        generated_dir: folder of class folders of the same names, of generated images.
        config: whose data and `fid` section count, several laid over each other; `config.yaml` of the checkpoint's run
            where none is given. What the section says comes before the defaults below, and what is given before both.
        out: folder for tables and chart; the run's folder where its own configuration is used, else the current one.
        image_size: size that images of folders are cut and resized to; that of the first real one where not given.
        n_shot: images of a support set instead of the run's, where the encoder takes sets of any size.
        sampler: instead of that of the `fid` section, or else of the checkpoint, in as many steps.
        steps: sampling steps, instead of those of that sampler.
        guidance: scale w of classifier-free guidance, instead of that sampler's.
        guidance_interval: the first and the last timestep that are guided, such as [200, 800], instead of that
            sampler's.
        ilvr_factor: N of ILVR: what is drawn has the means of blocks of N × N pixels of the examples, one after the
            other; a model without encoder draws from examples so.
        ilvr_until: the last timestep after whose step that is seen to.
        npz: also write all images of classes to this file, `arr_0` uint8 `(n, H, W, C)` and `arr_1` the number of the
            class in the table, from 0, as guided-diffusion's scripts do. A file that is there already is not touched.
        allow: class paths that the checkpoint, and the configuration beside it, may name beside this package's own.
        autoencoder: folder of the autoencoder of a model of latents, if it is not where it was in training.
        backbone: file of the weights of a model's pretrained image encoder, if it is not where it was in training.
        settings: see `EvaluationSettings`.

    Raises:
        UserError: something that is missing, cannot be read, or does not go together.
    """
    if "extractor" in settings:
        settings.setdefault("extractor_args", {})  # another's arguments are of no use to it
    folders = (real_dir, generated_dir)
    if ckpt_path is not None and image_size is not None:
        raise UserError("--image_size is for folders of images; a checkpoint draws in the size of its training.")
    if ckpt_path is None and config:
        raise UserError("--config is for a checkpoint, and says which data it is compared with; none is given.")
    changes = {
        "steps": steps, "guidance": guidance, "guidance_interval": guidance_interval, "ilvr_factor": ilvr_factor,
        "ilvr_until": ilvr_until,
    }  # fmt: skip
    asked = {"sampler": sampler, **changes, "npz": npz, "autoencoder": autoencoder, "backbone": backbone}
    if ckpt_path is None and (for_model := [f"--{name}" for name, value in asked.items() if value is not None]):
        raise UserError(f"{', '.join(for_model)}: that is for a checkpoint, which draws images; none is given.")
    check_npz_place(npz)
    drawn: dict[int, torch.Tensor] = {}
    if ckpt_path is not None and folders == (None, None):
        choice = partial(choose_sampler, name=sampler, **changes)  # type: ignore[arg-type]
        on_images = (lambda number, images: None) if npz is None else drawn.__setitem__
        places = autoencoder, backbone
        root, report = _of_checkpoint(
            ckpt_path, split, config, out, settings, n_shot, choice, on_images, as_names(allow), places
        )
    elif ckpt_path is None and real_dir is not None and generated_dir is not None:
        root = out or Path()
        chosen = EvaluationSettings(sampler=None, strict=False, **settings)  # no options of the command
        if chosen.bits_samples:
            raise UserError("--bits_samples is for a checkpoint: bits per dimension are a model's, not of its images.")
        check_place(root / DISTANCE_FOLDER / CSV_FILE, "--out")
        report = compare_folders(real_dir, generated_dir, chosen, image_size, _device())
    else:
        raise UserError("evaluate needs --ckpt_path, or --real-dir and --generated-dir, and not both.")
    try:
        publish(report, root)
    except OSError as error:
        raise UserError(
            f"The distances above cannot be written to {folder_of(root, report)} ({reason(error)}). Name another "
            "folder with --out."
        ) from error
    if npz is not None:
        _write_npz(npz, drawn)


def _write_npz(path: Path, drawn: dict[int, torch.Tensor]) -> None:
    """The images of all classes, in the order of the table."""
    if not drawn:
        raise UserError(f"--npz: no image of any class was drawn, and {path} is not written.")
    numbers = sorted(drawn)
    labels = [torch.full((len(drawn[number]),), number) for number in numbers]
    write_npz_option(path, torch.cat([drawn[number] for number in numbers]), torch.cat(labels))


def _of_checkpoint(
    path: Path,
    split: Split,
    configs: Sequence[Path] | None,
    out: Path | None,
    given: dict[str, Any],
    n_shot: int | None,
    choice: Choice,
    on_images: Callable[[int, torch.Tensor], object],
    allow: Sequence[str],
    places: tuple[Path | None, Path | None],
) -> tuple[Path, Report]:
    """The folder to write to, and the report."""
    path = find_model(path)
    module = load_checkpoint(path, allow, *places).to(_device())
    found = [Path(find_config(str(config))) for config in configs] if configs else [config_of(path)]
    root = out or (Path() if configs else found[0].parent)
    check_place(root / DISTANCE_FOLDER / CSV_FILE, "--out")
    data, settings = data_and_settings(found, given, n_shot, bool(configs), allow)
    module.use_set_size(data.n_shot)
    settings = replace(settings, sampler=choice(module, own=settings.sampler))
    if (module.image_size, module.channels) != (data.image_size, data.channels):
        differ = (
            f"{path} draws images of {module.image_size} pixels and {module.channels} channels, {found[-1]} reads "
            f"images of {data.image_size} and {data.channels}"
        )
        if not configs:
            raise UserError(f"{differ}. It is not that of its run; name a configuration with --config.")
        rank_zero_warn(f"{differ}: they are resized, and made grey or RGB, and compared so.")
        data = FittedData(data, module.image_size, module.channels)
    data.prepare_data()
    shown = Shown("The table of the classes so far")

    def write_partial(report: Report) -> None:
        with shown:
            write_tables(folder_of(root, report), report)

    evaluator = Evaluator(settings, on_row=write_partial, on_images=on_images)
    evaluator.check(module, [split])
    evaluator.comparison.extractor()  # one that cannot be loaded is an error here, before anything is generated
    return root, evaluator.run(module, data, split, module.trained_steps, Processes())


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main(arguments: Sequence[str]) -> None:
    """The command line of `evaluate`; every `--config` adds one, as in `fit`."""
    run_function(evaluate, [re.sub(r"^--config(=|$)", r"--config+\1", argument) for argument in arguments])
