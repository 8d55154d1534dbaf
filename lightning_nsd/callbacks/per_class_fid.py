"""How well every class is generated, at the chosen evaluations."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lightning_nsd.callbacks.graceful_stop import GracefulStop
from lightning_nsd.callbacks.run_checkpoint import save_together
from lightning_nsd.data.datamodule import EpisodeDataModule, Split
from lightning_nsd.evaluation.evaluator import Evaluator
from lightning_nsd.evaluation.files import folder_of, write_tables
from lightning_nsd.evaluation.publish import publish
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.settings import EvaluationSettings
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.processes.group import Processes
from lightning_nsd.shown import Shown

SUMMARY = ("mean", "median", "worst5", "failed")


class PerClassFID(Callback):
    """Fréchet and kernel distance, precision and recall of every class, and their floor.

    For each class ⌈n / n_shot⌉ random support sets are made of its real images, n images are generated from these by
    the EMA weights, and compared with n real images, n = min(num_samples, images of the class). Everything random comes
    from generators of its own, keyed by `data.eval_seed`: training does not change by a bit, and the same weights
    always give the same values.

    Figures go to every logger (`val/fid/mean`, `val/fid/<class>`, …), tables and a chart to `distances/` in the run's
    folder and to loggers that take them, a short table to the terminal. A class that is too small is NaN with its
    reason. An extractor that cannot be loaded, or an error in one class, is NaN too; its traceback is logged and
    `val/fid/failed` counts it.

    Args:
        when: at `every` validation of `fit`; once, at the `last` one or where training ends before it is known to be
            the last; or `never`. Unless never, `validate` and `test` compute it too, of their own split.
        splits: evaluated in `fit`.
        settings: how they are evaluated, see `EvaluationSettings`.

    Raises:
        UserError: settings that do not fit; or, at the start of `fit`, classes that no split has.
    """

    def __init__(
        self, when: Literal["never", "last", "every"] = "every", splits: Sequence[Split] = ("val",), **settings: Any
    ) -> None:
        self.when = when
        self.splits = splits
        self.evaluator = Evaluator(EvaluationSettings(**settings), self._stop_if_asked, self._write_partial)
        self._shown = Shown("The tables of distances")
        self._trainer: Trainer | None = None
        self._evaluated = False  # in this run

    # ---- when ----

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find mistakes before training, not at an evaluation hours later."""
        self._evaluated = False
        if self.when == "never":
            return
        self.evaluator.check(trainer.lightning_module, self.splits)  # type: ignore[arg-type]
        if not trainer.enable_validation:
            return
        for split in self.splits:
            self.evaluator.populations(trainer.datamodule, split)  # type: ignore[attr-defined]
        try:
            self.evaluator.comparison.extractor()
        except Exception as error:
            if self.evaluator.settings.strict:
                raise
            rank_zero_warn(f"No distance will be computed unless this is mended by the first evaluation: {error}")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or self.when == "never":
            return
        if trainer.state.fn != "fit":
            self._evaluate(trainer, ("val",))
        elif self.when == "every" or _is_last_validation(trainer):
            self._evaluate(trainer, self.splits)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Training may end without a warning, as after an evaluation that early stopping does not like."""
        if self.when == "last" and not self._evaluated and trainer.enable_validation:
            save_together(trainer)
            pl_module.eval()
            self._evaluate(trainer, self.splits)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.when != "never":
            self._evaluate(trainer, ("test",))

    # ---- how ----

    def _evaluate(self, trainer: Trainer, splits: Sequence[Split]) -> None:
        """Evaluate some splits. The summary is logged by Lightning too, so that a checkpoint can follow its mean."""
        module: FewShotDiffusion = trainer.lightning_module  # type: ignore[assignment]
        data: EpisodeDataModule = trainer.datamodule  # type: ignore[attr-defined]
        self._trainer, self._evaluated = trainer, True
        self.evaluator.show_progress = trainer.progress_bar_callback is not None
        for split in splits:
            report = self.evaluator.run(module, data, split, module.trained_steps, Processes(trainer.strategy))
            summary = report.summary()
            figures = {f"{split}/{report.distance}/{name}": summary[name] for name in SUMMARY}
            if trainer.training:  # has ended, and Lightning logs nothing any more
                trainer.callback_metrics.update({name: torch.tensor(value) for name, value in figures.items()})
            else:
                module.log_dict(figures, logger=False, batch_size=1)
            with self._shown:
                publish(report, Path(trainer.default_root_dir), trainer.loggers)

    def _stop_if_asked(self) -> None:
        trainer: Any = self._trainer
        for callback in trainer.callbacks if trainer else ():
            if isinstance(callback, GracefulStop):
                callback.stop_if_asked(trainer)

    def _write_partial(self, report: Report) -> None:
        """After every class, so that an evaluation that is broken off leaves what it has found."""
        root = Path(self._trainer.default_root_dir) if self._trainer else Path()
        with self._shown:
            write_tables(folder_of(root, report), report)


def _is_last_validation(trainer: Trainer) -> bool:
    """Whether training ends before another validation, as far as is known before it."""
    if trainer.should_stop:
        return True
    batches = float(trainer.val_check_batch or math.inf)
    if trainer.check_val_every_n_epoch is not None and batches == trainer.num_training_batches:
        batches *= trainer.check_val_every_n_epoch
    steps = batches / trainer.accumulate_grad_batches
    return trainer.global_step + steps > trainer.estimated_stepping_batches
