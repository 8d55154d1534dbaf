"""`fit`, `validate`, `test` and `predict`: LightningCLI with this package's options."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger

from lightning_nsd.callbacks.finite_loss import FiniteLoss
from lightning_nsd.callbacks.graceful_stop import GracefulStop
from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.callbacks.progress import ProgressBar
from lightning_nsd.callbacks.run_checkpoint import RunCheckpoint
from lightning_nsd.callbacks.run_summary import RunSummary
from lightning_nsd.checkpoint_io import AtomicCheckpointIO, newest_readable, read_checkpoint
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.errors import UserError
from lightning_nsd.messages import UNION_ERROR, readable, user_error_in
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.run_folder import CONFIG_FILE, LOG_FOLDER, set_aside

DESCRIPTION = "Few-shot diffusion: fit, validate, test and predict by LightningCLI, and commands of their own."
LIGHTNING_COMMANDS = ("fit", "validate", "test", "predict")
OTHER_COMMANDS = ("sample", "evaluate", "convert")  # each a module of this package with a `main`
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
                "description": f"{DESCRIPTION} Other commands, each with --help: {', '.join(OTHER_COMMANDS)}.",
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
