"""Loggers that cannot end a run."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from lightning.pytorch.loggers import Logger

from lightning_nsd.shown import Shown

AnyLogger = TypeVar("AnyLogger", bound=Logger)
CALLED_IN_A_RUN = (
    "log_metrics", "log_image", "log_table", "log_graph", "save", "after_save_checkpoint", "finalize",
)  # fmt: skip
"""Not `log_hyperparams`, which is called before the first step, where a logger that does not work is an error."""


def forgiving(logger: AnyLogger) -> AnyLogger:
    """The same logger; what it raises from now on while a run is under way is one warning."""
    for name in CALLED_IN_A_RUN:
        if method := getattr(logger, name, None):
            setattr(logger, name, _shown(method, Shown(f"Figures for {type(logger).__name__} ({name})")))
    return logger


def _shown(method: Callable[..., Any], shown: Shown) -> Callable[..., None]:
    @functools.wraps(method)
    def call(*arguments: Any, **named: Any) -> None:
        with shown:
            method(*arguments, **named)

    return call
