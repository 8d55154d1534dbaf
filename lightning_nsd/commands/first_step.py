"""What keeps a run from its first step: one sentence that names the setting, whoever raised it."""

import inspect
import os
import re
import traceback
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from pydantic import ValidationError

from lightning_nsd.errors import UserError
from lightning_nsd.messages import readable
from lightning_nsd.settings.numbers import cut, shown

DEBUG = "LIGHTNING_NSD_DEBUG"
"""Environment variable that asks for Python's own account instead."""
_TRAINER_SETTINGS = tuple(name for name in inspect.signature(Trainer.__init__).parameters if name != "self")
_OWNERS = (
    ("/torch/optim/", "model.optimizer"),
    ("/wandb/", "trainer.logger (W&B)"),
    ("/loggers/", "trainer.logger"),
    ("/profilers/", "trainer.profiler"),
    ("/callbacks/timer.py", "trainer.max_time"),
    ("/plugins/precision/", "trainer.precision"),
    ("/accelerators/", "trainer.accelerator"),
    ("/accelerator_connector.py", "trainer.accelerator"),
    ("/strategies/", "trainer.strategy"),
)
"""Parts of other libraries, by where they are, and the setting that chooses them."""
_REMEDIES = {
    "trainer.logger (W&B)": "Log in with `wandb login`, or go on without the network: WANDB_MODE=offline.",
}


class FirstStep(Callback):
    """Knows whether the run has taken a step: of the optimiser in `fit`, a batch in the other commands."""

    def __init__(self) -> None:
        self.taken = False
        self._start = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._start = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.taken |= trainer.global_step > self._start

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.taken |= trainer.state.fn != "fit"

    def on_test_batch_end(self, *_: Any) -> None:
        self.taken = True

    def on_predict_batch_end(self, *_: Any) -> None:
        self.taken = True


def wants_traceback() -> bool:
    """Whether the user asked for Python's own account."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def explained(error: Exception) -> UserError:
    """An exception of any library, in one sentence with the setting that it speaks of."""
    message = " ".join(_message_of(error).split()) or type(error).__name__
    setting = _setting_of(error, message)
    said = message if setting and message.startswith(setting) else f"{setting or 'The run could not begin'}: {message}"
    remedy = _REMEDIES.get(setting or "", f"{DEBUG}=1 shows where.")
    return UserError(f"{cut(said, 800).rstrip('.')}. {remedy}")


def _message_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, wrong['loc']))} is {shown(wrong['input'])}: {wrong['msg']}" for wrong in error.errors()
        )
    return readable(str(error))


def _setting_of(error: Exception, message: str) -> str | None:
    """The setting that the message names, or else the one that chooses the part of a library that raised."""
    files = [frame.filename.replace(os.sep, "/") for frame in traceback.extract_tb(error.__traceback__)[:-4:-1]]
    owner = next((setting for file in files for part, setting in _OWNERS if part in file), None)
    if owner and not owner.startswith("trainer."):
        return owner
    quoted = _first_named(r"`(?:Trainer\()?{name}\b", message)
    named = quoted or _first_named(r"(?<![\w.]){name}(?!\w)", message, tuple(n for n in _TRAINER_SETTINGS if "_" in n))
    return f"trainer.{named}" if named else owner


def _first_named(pattern: str, message: str, names: tuple[str, ...] = _TRAINER_SETTINGS) -> str | None:
    """Of several settings that a message names the first: the others are what it advises."""
    found = {match.start(): name for name in names if (match := re.search(pattern.format(name=name), message))}
    return found[min(found)] if found else None
