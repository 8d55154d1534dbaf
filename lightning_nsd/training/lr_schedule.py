"""The learning rate over the steps, as a factor of its base value."""

import math
from dataclasses import dataclass
from typing import Literal

from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Fraction, Steps, bounded


@bounded("model.lr_schedule")
@dataclass(frozen=True)
class LRSchedule:
    """Linear warm-up, a plateau, then annealing to `final_factor`, which it has after the last step.

    Attributes:
        warmup_steps: steps over which the rate rises linearly.
        annealing: how the rate falls: not at all, linearly, or as half a cosine.
        annealing_start: fraction of all steps after which it falls.
        final_factor: where it ends, as a fraction of the base rate.
    """

    warmup_steps: Steps = 0
    annealing: Literal["none", "linear", "cosine"] = "none"
    annealing_start: Fraction = 0.0
    final_factor: Fraction = 0.0

    def factor(self, step: int, total_steps: float) -> float:
        """The factor of optimiser step `step` (0 is the first) out of `total_steps`.

        Raises:
            UserError: annealing without a last step.
        """
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.annealing == "none":
            return warm
        if math.isinf(total_steps):
            raise UserError("lr_schedule.annealing needs a last step: set trainer.max_steps or trainer.max_epochs.")
        start = self.annealing_start * total_steps
        progress = min(1.0, max(0.0, (step - start) / max(1.0, total_steps - start)))
        falling = 1.0 - progress if self.annealing == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
        return warm * (self.final_factor + (1.0 - self.final_factor) * falling)
