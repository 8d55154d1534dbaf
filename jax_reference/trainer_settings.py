"""What a config's `trainer` section asks of Lightning that the reference's loop does not do."""

from collections.abc import Mapping
from typing import Any

from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import shown

SAME_NUMBERS: dict[str, tuple[Any, ...]] = {
    "accumulate_grad_batches": (None, 1),
    "devices": (None, "auto", 1, "1"),
    "gradient_clip_algorithm": (None, "norm"),
    "max_epochs": (None, -1),
    "max_time": (None,),
    "num_nodes": (None, 1),
    "overfit_batches": (None, 0),
    "precision": (None, 32, "32", "32-true"),
}
"""Values with which the loop trains to the numbers that the config asks for."""


def check_trainer(trainer: Mapping[str, Any], source: str) -> None:
    """Whether the loop trains as a `trainer` section says: in float32, in one process, a step for every batch.

    Args:
        trainer: the section.
        source: the config, named in errors.

    Raises:
        UserError: names the first setting by which the numbers would be others.
    """
    for name, same in SAME_NUMBERS.items():
        value = trainer.get(name)
        if value not in same:
            raise UserError(
                f"{source}: trainer.{name} is {shown(value)}, which the reference does not do: it trains in float32, "
                "in one process, a step for every batch, up to trainer.max_steps. Leave it out."
            )
