"""`fit`, `validate`, `test` and `predict`: LightningCLI with this package's options."""

import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jsonargparse import ArgumentError
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import StrategyRegistry
from lightning.pytorch.utilities import rank_zero_warn

from lightning_nsd.accelerators.device import answer_for_lightning
from lightning_nsd.callbacks.data_encodings import DataEncodings
from lightning_nsd.callbacks.finite_loss import FiniteLoss
from lightning_nsd.callbacks.graceful_stop import GracefulStop
from lightning_nsd.callbacks.open_evaluation import OpenEvaluation
from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.callbacks.prediction_writer import PredictionWriter
from lightning_nsd.callbacks.progress import ProgressBar
from lightning_nsd.callbacks.run_checkpoint import RunCheckpoint
from lightning_nsd.callbacks.run_start import RunStart
from lightning_nsd.callbacks.run_summary import RunSummary
from lightning_nsd.callbacks.run_trackers import RunTrackers
from lightning_nsd.checkpoints.io import AtomicCheckpointIO, read_checkpoint
from lightning_nsd.checkpoints.places import find_model
from lightning_nsd.commands.first_step import FirstStep, explained, wants_traceback
from lightning_nsd.commands.run_report import RunReport
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.errors import UserError
from lightning_nsd.loggers.forgiving import forgiving
from lightning_nsd.loggers.metrics_file import MetricsFile
from lightning_nsd.loggers.wandb_curve import WandbCurve
from lightning_nsd.messages import user_error_in
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.processes.cluster import check_machines, check_slurm
from lightning_nsd.processes.fsdp2 import FSDP2
from lightning_nsd.runs.branch import newest_readable
from lightning_nsd.runs.folder import LOG_FOLDER, check_writable
from lightning_nsd.runs.lock import locked
from lightning_nsd.runs.without_folders import shown_command, without_folders
from lightning_nsd.settings.changed import changed_settings
from lightning_nsd.settings.config_files import check_sections, configs_of, read_config
from lightning_nsd.settings.numbers import SEED, check_numbers, shown
from lightning_nsd.settings.trainer import check_trainer
from lightning_nsd.shown import Shown

DESCRIPTION = "Few-shot diffusion: fit, validate, test and predict by LightningCLI, and commands of their own."
LIGHTNING_COMMANDS = ("fit", "validate", "test", "predict")
OTHER_COMMANDS = ("sample", "evaluate", "report", "demo", "convert", "push")  # modules of this package with a `main`
NOT_BAREBONES = ("log_every_n_steps", "num_sanity_val_steps", "enable_progress_bar", "enable_model_summary")
TAKEN_FOR = {"lightning.pytorch.loggers.WandbLogger": f"{WandbCurve.__module__}.WandbCurve"}
"""What a config of an earlier version names, and what it gets: the same with the same arguments."""
LINKED_FROM_DATA = ("image_size", "channels", "n_shot", "eval_seed")


class ShowConfig(SaveConfigCallback):
    """Hands the whole configuration to loggers that show it."""

    def save_config(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Called on rank 0 only."""
        text = self.parser.dump(self.config, skip_unset=False)
        for logger in trainer.loggers:
            logger.log_hyperparams({"config": text})


class FewShotCLI(LightningCLI):
    """`fit`, `validate`, `test` and `predict` of a FewShotDiffusion on an EpisodeDataModule.

    LightningCLI does everything in its constructor. It calls in this order: `subcommands`, `add_arguments_to_parser`,
    `parse_arguments`, `instantiate_trainer`, `before_<command>`, the trainer's own method, `after_<command>`.

    Attributes:
        root: the run's folder.
        given: the words of the command line.
        first_step: whether the run has taken a step: what ends it before is the user's to mend.
        until_the_end: what is held until the command ends, however it does: the folder's lock, a temporary folder.
    """

    root: Path
    given: list[str]

    def __init__(self, args: ArgsType = None) -> None:
        self.first_step = FirstStep()
        try:
            with ExitStack() as self.until_the_end:
                self._run(args)
        except (ArgumentError, BrokenPipeError, MemoryError):
            raise
        except Exception as error:
            if self.first_step.taken or user_error_in(error) or wants_traceback():
                raise
            raise explained(error) from error

    def _run(self, args: ArgsType) -> None:
        super().__init__(
            FewShotDiffusion,
            EpisodeDataModule,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            seed_everything_default=0,
            save_config_callback=ShowConfig,
            save_config_kwargs={"save_to_log_dir": False},
            trainer_defaults={
                "callbacks": [OpenEvaluation(), GracefulStop(), FiniteLoss(), RunSummary(), DataEncodings()],
                "num_sanity_val_steps": 1,
            },
            parser_kwargs={
                "description": f"{DESCRIPTION} Other commands, each with --help: {', '.join(OTHER_COMMANDS)}.",
                "exit_on_error": False,
                **{name: {"exit_on_error": False} for name in LIGHTNING_COMMANDS},
            },
            args=args,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Without the option by which a checkpoint could run code."""
        return {name: {*left_out, "weights_only"} for name, left_out in LightningCLI.subcommands().items()}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Checkpoints, distances and predictions have options of their own; what the data decides is linked."""
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.add_lightning_class_args(PerClassFID, "fid")
        parser.set_defaults({"fid.when": "never"})
        parser.add_lightning_class_args(PredictionWriter, "predictions")
        for name in LINKED_FROM_DATA:
            parser.link_arguments(f"data.{name}", f"model.{name}", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=seed_from)
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=seed_from)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """What the parser leaves open is checked, and files are found and read, before anything is built."""
        given = sys.argv[1:] if args is None else args
        self.given = [str(argument) for argument in given] if isinstance(given, list | tuple) else []
        self._check_configs()
        super().parse_arguments(parser, args)
        options = self.config[self.config.subcommand]
        check_trainer(options.trainer.as_dict())
        self.root = Path(options.trainer.default_root_dir or ".")
        for logger in as_list(options.trainer.logger):
            logger.class_path = TAKEN_FOR.get(logger.class_path, logger.class_path)
            arguments = logger.get("init_args")  # None of one that takes none
            if arguments is not None and arguments.get("save_dir", "elsewhere") in (".", None):
                arguments.save_dir = str(self.root)
        options.ckpt_path = self._readable(options.ckpt_path)

    def _readable(self, ckpt_path: Any) -> Any:
        """The checkpoint or folder that `--ckpt_path` names, where it can be read; None for none."""
        if ckpt_path is None:
            return None
        if not isinstance(ckpt_path, str | Path):
            raise UserError(
                f"ckpt_path is {shown(ckpt_path)}; it must be the path of a checkpoint, or last. A model's folder and "
                "hf://owner/name are taken too."
            )
        if not ckpt_path:
            raise UserError("--ckpt_path is empty. Name a checkpoint, or `last` for the newest of the run's folder.")
        if ckpt_path == "last":
            return str(newest_readable(self.root))
        found = find_model(ckpt_path)
        read_checkpoint(found)
        return str(found)

    def _check_configs(self) -> None:
        """What the parser would take for an empty section is refused."""
        command = next((argument for argument in self.given if argument in LIGHTNING_COMMANDS), LIGHTNING_COMMANDS[0])
        defaults = self._parser(command).get_defaults().as_dict()
        for path in configs_of(self.given):
            content = read_config(path)
            check_sections(content.get(command, content), defaults, path)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The configuration's trainer with this package's loggers, callbacks and way to checkpoints.

        With `fast_dev_run` whatever is written is in a folder that is gone at the end.
        """
        check_slurm()
        StrategyRegistry.register("fsdp2", FSDP2, "Fully sharded data parallel, with whole checkpoints", override=True)
        answer_for_lightning()
        config = {**self._get(self.config_init, "trainer"), **kwargs}
        if config["barebones"]:
            config |= dict.fromkeys(NOT_BAREBONES)
        if config["fast_dev_run"] or config["barebones"]:
            config["enable_checkpointing"] = False
        if config["fast_dev_run"]:
            self.root = Path(self.until_the_end.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        config["logger"] = None if config["barebones"] else self._loggers(config["logger"])
        config["plugins"] = [AtomicCheckpointIO(), *as_list(config["plugins"])]
        config["default_root_dir"] = str(self.root)
        trainer = self._instantiate_trainer(config, self._callbacks(config))
        check_machines(trainer)
        return trainer

    def _loggers(self, configured: Any) -> list[Logger]:
        """A CSV of all figures, which is always written, and those of the configuration."""
        fits = self.subcommand == "fit"
        figures = MetricsFile(self.root / LOG_FOLDER, "metrics" if fits else str(self.subcommand), one_run=fits)
        return [forgiving(logger) for logger in (figures, *as_list(configured))]

    def _callbacks(self, config: dict[str, Any]) -> list[Callback]:
        """Those with options of their own, but for what the configuration turns off."""
        callbacks = [self._get(self.config_init, key) for key in self._parser(self.subcommand).callback_keys]
        if config["enable_checkpointing"] is False:
            callbacks = [callback for callback in callbacks if not isinstance(callback, RunCheckpoint)]
        if not (config["barebones"] or config["enable_progress_bar"] is False):
            callbacks.append(ProgressBar())
        return [*callbacks, self.first_step]

    def before_fit(self) -> None:
        """The run's folder is locked, and becomes this run's when it trains."""
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        if self.trainer.is_global_zero:
            self.until_the_end.enter_context(locked(self.root))
            callbacks.insert(0, run_report := RunReport(self.root))
            self.until_the_end.push(run_report.at_exit)
        config = self._parser(self.subcommand).dump(self.config[self.config.subcommand], skip_unset=False)
        trackers = RunTrackers(self.root, self.trainer.loggers)
        trackers.go_on(self._get(self.config, "ckpt_path"))
        callbacks[:0] = [RunStart(self.root, config, self._asked()), trackers]

    def _asked(self) -> dict[str, Any]:
        """What the run's history says of the command: its words, seeds, and the settings that are no defaults."""
        config = self.config[self.config.subcommand]
        changed: list[Any] = []
        with Shown("The list of settings that are no defaults"):
            changed = changed_settings(self._parser(self.subcommand), config, self.given)
        seeds = {"seed_everything": config.seed_everything, "data.eval_seed": self.datamodule.eval_seed}
        settings = without_folders(changed)
        return {"command": shown_command(self.given), "seeds": seeds, "settings": settings}

    def after_fit(self) -> None:
        """A run whose end is not saved does not end well."""
        for callback in self.trainer.checkpoint_callbacks:
            if isinstance(callback, RunCheckpoint) and callback.failure:
                raise UserError(callback.failure)

    def before_validate(self) -> None:
        self._before_evaluation()

    def before_test(self) -> None:
        self._before_evaluation()

    def before_predict(self) -> None:
        self._before_evaluation()

    def _before_evaluation(self) -> None:
        check_writable(self.root)
        if not self._get(self.config, "ckpt_path"):
            rank_zero_warn(
                f"{self.subcommand} uses an untrained model, because no checkpoint is named: give --ckpt_path last, or "
                "the path of one."
            )


def seed_from(seed_everything: int) -> int:
    """The seed of data and model: the run's.

    Raises:
        UserError: no seed.
    """
    check_numbers("", {"seed_everything": SEED}, {"seed_everything": seed_everything})
    return int(seed_everything)


def as_list(setting: Any) -> list[Any]:
    """Loggers or plugins: one, a list, null, true or false; the last three name none."""
    if isinstance(setting, list):
        return setting
    return [] if setting is None or isinstance(setting, bool) else [setting]
