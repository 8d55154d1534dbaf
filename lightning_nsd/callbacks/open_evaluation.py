"""An evaluation that was broken off is made up when the run is continued."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.seed import isolate_rng


class OpenEvaluation(Callback):
    """Keeps in every checkpoint whether the evaluation after its step is still to come, and begins a run with it.

    Lightning passes over it, and does nothing at all where the last step is done. To be named before what saves at the
    start of a batch.
    """

    def __init__(self) -> None:
        self._trainer: Trainer | None = None
        self._is_open: bool | None = False  # None: as Lightning decides, when all callbacks have seen the step
        self._is_owed = False  # by the checkpoint that the run continues

    def on_train_batch_start(self, *_: Any) -> None:
        self._is_open = False

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self._trainer = trainer
        if not trainer.fit_loop.epoch_loop._should_accumulate():
            self._is_open = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._is_open is None:
            self._is_open = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._is_open = False

    def state_dict(self) -> dict[str, Any]:
        is_open = self._is_open
        if is_open is None and self._trainer is not None:
            loop = self._trainer.fit_loop
            is_open = loop.epoch_loop._should_check_val_fx(loop._data_fetcher)  # type: ignore[arg-type]
        return {"is_open": bool(is_open)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._is_owed = bool(state_dict.get("is_open"))

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        train = trainer.fit_loop.run

        def train_or_evaluate() -> None:
            train()
            self._make_up(trainer)  # is still owed where there was nothing to train

        if self._is_owed:
            trainer.fit_loop.run = train_or_evaluate  # type: ignore[method-assign]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._make_up(trainer)

    def _make_up(self, trainer: Trainer) -> None:
        if not self._is_owed or not trainer.enable_validation:
            return
        rank_zero_info(f"The evaluation after step {trainer.global_step} was broken off; it is made up.")
        self._is_owed, self._is_open = False, True
        loop = trainer.fit_loop.epoch_loop.val_loop
        loop.restarting = False
        trainer.validating = True
        with isolate_rng():
            loop.run()
        trainer.training = True
