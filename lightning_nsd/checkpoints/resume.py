"""What a resumed optimiser takes from its checkpoint, and what from the configuration.

State (moments, counters of steps) is the checkpoint's. Settings (rates, decays, betas, the rate's schedule) are the
configuration's, whether they are those of the checkpoint or were changed for the resume.
"""

from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_nsd.checkpoints.settings import plain

NOT_SETTINGS = ("params", "part", "name", "lr")  # the rate of a step follows from initial_lr and the schedule


class ResumableLR(LambdaLR):
    """A LambdaLR that takes from a checkpoint how many steps were made, and nothing else."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Count on from the checkpoint's step, with the own base rates and the own schedule's factor there."""
        super().load_state_dict({**state_dict, "base_lrs": self.base_lrs})
        self._last_lr = [
            base * factor(self.last_epoch) for base, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate


def keep_settings(optimizer: Optimizer) -> None:
    """Let a checkpoint restore the optimiser's state, not its settings; says which of them differ.

    Args:
        optimizer: as the configuration made it.
    """

    def with_own_settings(_: Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
        if len(saved["param_groups"]) != len(optimizer.param_groups):
            return saved  # torch's own check says so
        changes, groups = [], []
        for own, theirs in zip(optimizer.param_groups, saved["param_groups"], strict=True):
            changes += _changes(own, theirs)
            groups.append({**own, "params": theirs["params"]})
        rank_zero_info("From the checkpoint: weights, moving average, the optimiser's state, the count of steps.")
        rank_zero_info(
            "From the command line and its configs: all settings; of the optimiser's "
            f"{', '.join(changes) if changes else 'none'} differ{'s' if len(changes) == 1 else ''} from the checkpoint."
        )
        return {**saved, "param_groups": groups}

    optimizer.register_load_state_dict_pre_hook(with_own_settings)


def _changes(own: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Each setting of a group that is another than in the checkpoint."""
    settings = {key: value for key, value in own.items() if key not in NOT_SETTINGS}
    return [
        f"{'lr' if key == 'initial_lr' else key} of the {own['name']} ({theirs.get(key, 'absent')} → {value})"
        for key, value in settings.items()
        if plain(theirs.get(key)) != plain(value)
    ]
