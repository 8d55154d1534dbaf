"""Bounds of the numbers that Lightning's Trainer takes, which its own signature leaves open."""

from collections.abc import Mapping
from datetime import timedelta
from typing import get_args, get_type_hints

from lightning.pytorch import Trainer

from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Bound, check_numbers, shown

BATCHES = Bound(0.0, 1e9)
BOUNDS: dict[str, Bound] = {
    "accumulate_grad_batches": Bound(1, 1_000_000),
    "check_val_every_n_epoch": Bound(1, 1_000_000_000),
    "devices": Bound(-1, 10_000),
    "fast_dev_run": Bound(0, 10_000),
    "gradient_clip_val": Bound(0.0, 1e6),
    "limit_predict_batches": BATCHES,
    "limit_test_batches": BATCHES,
    "limit_train_batches": BATCHES,
    "limit_val_batches": BATCHES,
    "log_every_n_steps": Bound(1, 1_000_000_000),
    "max_epochs": Bound(-1, 1_000_000_000),
    "max_steps": Bound(-1, 1_000_000_000),
    "min_epochs": Bound(0, 1_000_000_000),
    "min_steps": Bound(0, 1_000_000_000),
    "num_nodes": Bound(1, 100_000),
    "num_sanity_val_steps": Bound(-1, 1_000_000),
    "overfit_batches": BATCHES,
    "reload_dataloaders_every_n_epochs": Bound(0, 1_000_000_000),
    "val_check_interval": Bound(0.0, 1e9, open_low=True),
}
NEVER_NULL = {
    name: bound for name, bound in BOUNDS.items() if type(None) not in get_args(get_type_hints(Trainer.__init__)[name])
}


def check_trainer(settings: Mapping[str, object]) -> None:
    """Whether the Trainer's numbers make sense.

    Raises:
        UserError: names the setting and its bound.
    """
    check_numbers("trainer.", BOUNDS, settings)
    for name, bound in NEVER_NULL.items():
        if settings.get(name, 0) is None:
            raise UserError(f"trainer.{name} is null; it must be a {bound}.")
    longest = settings.get("max_time")
    if isinstance(longest, Mapping):
        longest = timedelta(**longest)
    if isinstance(longest, timedelta) and longest <= timedelta():
        raise UserError(f"trainer.max_time is {shown(longest)}; it must be longer than no time at all.")


def check_precision(precision: object) -> None:
    """Whether weights keep 32 bits.

    Many steps of the optimiser and all of the moving average are smaller than the last bit of a weight of 16: they
    would be rounded away.

    Raises:
        UserError: names what to use instead.
    """
    if precision in ("16-true", "bf16-true"):
        raise UserError(
            f"trainer.precision is {precision}: it rounds the weights themselves to 16 bits, where steps of the "
            f"optimiser and of the moving average are lost. Use {str(precision).replace('true', 'mixed')}, whose "
            "layers compute in 16 bits and whose weights keep 32, or 32-true."
        )
