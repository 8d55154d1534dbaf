"""Few-shot diffusion: fit, validate, test and predict by LightningCLI, and commands of their own for the rest."""

import importlib
import shutil
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError
from lightning.pytorch import Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lightning_nsd.callbacks.finite_loss import FiniteLoss
from lightning_nsd.callbacks.graceful_stop import GracefulStop
from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.callbacks.progress import ProgressBar
from lightning_nsd.callbacks.run_checkpoint import RunCheckpoint
from lightning_nsd.callbacks.run_summary import RunSummary
from lightning_nsd.callbacks.sample_grid import PICTURE_FOLDER
from lightning_nsd.checkpoint_io import CHECKPOINT_FOLDER, LAST, AtomicCheckpointIO, newest_readable, read_checkpoint
from lightning_nsd.config_files import with_config_paths
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.files import FOLDER as DISTANCE_FOLDER
from lightning_nsd.module import FewShotDiffusion

LOG_FOLDER = "logs"
CONFIG_FILE = "config.yaml"
LIGHTNING_COMMANDS = ("fit", "validate", "test", "predict")
OTHER_COMMANDS = ("sample", "evaluate", "convert")  # each a module of this package with a `main`
UNION_ERROR = "Does not validate against any of the Union subtypes"
UNFOUNDED_WARNINGS = (
    r"Found \d+ module\(s\) in eval mode",  # the moving average is always in evaluation mode
    r"You're resuming from a checkpoint that ended before the epoch ended",  # episodes follow from the step
)
LINKED_FROM_DATA = ("image_size", "channels", "n_shot")


class SaveRunConfig(SaveConfigCallback):
    """Writes the whole configuration to `config.yaml` in the run's folder, and hands it to loggers that show it."""

    def save_config(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Called on rank 0 only."""
        text = self.parser.dump(self.config, skip_unset=False)
        root = Path(trainer.default_root_dir)
        root.mkdir(parents=True, exist_ok=True)
        (root / CONFIG_FILE).write_text(text, encoding="utf-8")
        for logger in trainer.loggers:
            if not isinstance(logger, CSVLogger):
                logger.log_hyperparams({"config": text})


class FewShotCLI(LightningCLI):
    """`fit`, `validate`, `test` and `predict` of a FewShotDiffusion on an EpisodeDataModule."""

    def __init__(self, args: ArgsType = None) -> None:
        super().__init__(
            FewShotDiffusion,
            EpisodeDataModule,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            seed_everything_default=0,
            save_config_callback=SaveRunConfig,
            save_config_kwargs={"overwrite": True},
            trainer_defaults={
                "callbacks": [GracefulStop(), FiniteLoss(), ProgressBar(), RunSummary()],
                "num_sanity_val_steps": 1,
            },
            parser_kwargs={
                "description": f"{__doc__} Other commands, each with --help: {', '.join(OTHER_COMMANDS)}.",
                "exit_on_error": False,
                **{name: {"exit_on_error": False} for name in LIGHTNING_COMMANDS},
            },
            args=args,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Checkpoints and distances have options of their own; what the data decides is linked, not written twice."""
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.add_lightning_class_args(PerClassFID, "fid")
        parser.set_defaults({"fid.when": "never"})
        for name in LINKED_FROM_DATA:
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=int)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Resolve `--ckpt_path last`, and refuse a checkpoint that cannot be read, before anything is built."""
        super().parse_arguments(parser, args)
        options = self.config[self.config.subcommand]
        self.root = Path(options.trainer.default_root_dir or ".")
        for logger in as_list(options.trainer.logger):
            if logger.init_args.get("save_dir") in (".", None):
                logger.init_args.save_dir = str(self.root)
        if options.ckpt_path == "last":
            options.ckpt_path = str(newest_readable(self.root))
        elif options.ckpt_path:
            read_checkpoint(options.ckpt_path)

    def instantiate_classes(self) -> None:
        """Build everything; what a constructor says is wrong is said without the parser's account of its attempts."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            if user_error_in(error) or not str(error).startswith(UNION_ERROR):
                raise
            raise UserError(readable(str(error)).strip(" -")) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A CSV of all figures is always written; other loggers come from the configuration."""
        trainer = self._get(self.config_init, "trainer")
        loggers = as_list(trainer.get("logger"))
        csv = CSVLogger(str(self.root), name=LOG_FOLDER, flush_logs_every_n_steps=1)
        plugins = [AtomicCheckpointIO(), *(trainer.get("plugins") or [])]
        return super().instantiate_trainer(
            logger=[csv, *loggers], plugins=plugins, default_root_dir=str(self.root), **kwargs
        )

    def before_fit(self) -> None:
        """A new run in a used folder moves the earlier run's files aside."""
        if not self._get(self.config, "ckpt_path"):
            set_aside(self.root)


def as_list(loggers: Any) -> list[Any]:
    """`trainer.logger` may be one, a list, null, true or false; the last three name none."""
    if isinstance(loggers, list):
        return loggers
    return [] if loggers is None or isinstance(loggers, bool) else [loggers]


@rank_zero_only
def set_aside(root: Path) -> None:
    """Move an earlier run's checkpoints, figures and pictures to `root/earlier-1`, `earlier-2`, …"""
    if not (root / LAST).exists():
        return
    number = 1 + max((int(p.name.split("-")[1]) for p in root.glob("earlier-*") if p.name[8:].isdigit()), default=0)
    target = root / f"earlier-{number}"
    target.mkdir()
    for name in (LAST, CHECKPOINT_FOLDER, PICTURE_FOLDER, DISTANCE_FOLDER, LOG_FOLDER, CONFIG_FILE):
        if (root / name).exists():
            shutil.move(str(root / name), str(target / name))
    rank_zero_info(f"{root} held an earlier run; it is now in {target}. (--ckpt_path last would have continued it.)")


def readable(message: str) -> str:
    """A parser's message without the lines that repeat the whole configuration or say what else a union allows."""
    noise = (
        "Given value type",
        "Given value: Namespace",
        "Given value: NestedArg",
        "- Expected a <class 'NoneType'>",
        "- Expected a <class 'str'>",
        UNION_ERROR,
        "Subtypes:",
        "Errors:",
    )
    return "\n".join(line for line in message.splitlines() if not line.strip().startswith(noise))


def user_error_in(error: BaseException | None) -> UserError | None:
    """The UserError that an exception is, or that it was raised from: parsers wrap what constructors raise."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def run(arguments: Sequence[str]) -> None:
    """Run one command."""
    for message in UNFOUNDED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    command = arguments[0] if arguments else ""
    if command in OTHER_COMMANDS:
        module = importlib.import_module(f"lightning_nsd.{command}")
        module.main(arguments[1:])
    elif command and not command.startswith("-") and command not in LIGHTNING_COMMANDS:
        known = ", ".join((*LIGHTNING_COMMANDS, *OTHER_COMMANDS))
        raise UserError(f"There is no command {command}. Commands: {known}.")
    else:
        sys.argv = [sys.argv[0], *with_config_paths(arguments)]
        FewShotCLI()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 2 for an error that the user can mend, or Lightning's own."""
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except SIGTERMException:
        return 128 + signal.SIGTERM
    except ArgumentError as error:
        print(f"error: {readable(str(user_error_in(error) or error))}", file=sys.stderr)
        return 2
    except Exception as error:
        explained = user_error_in(error)
        if explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        return 2
    return 0
