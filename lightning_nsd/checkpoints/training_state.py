"""Whether training can go on from a checkpoint with the optimiser, schedule and loops that there are now."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_nsd.checkpoints.contents import has_training_state
from lightning_nsd.errors import UserError
from lightning_nsd.messages import some_of


def goes_on(
    checkpoint: Mapping[str, Any],
    make_optimizer: Callable[..., Optimizer],
    groups: list[dict[str, Any]],
    loops: Mapping[str, Any],
) -> bool:
    """Whether training goes on where a checkpoint's ended; from one of weights alone it starts anew, which is said.

    The training state is compared with that of an optimiser, a schedule and loops made for the purpose.

    Args:
        checkpoint: see `check_contents`.
        make_optimizer: of the configuration.
        groups: parameter groups that it would be made from.
        loops: a `state_dict` of the trainer's fit loop.

    Raises:
        UserError: an optimiser of another kind, with other groups or parameters, or a state that is incomplete.
    """
    if not has_training_state(checkpoint):
        rank_zero_info(
            f"The checkpoint of step {checkpoint['global_step']} holds weights and no optimiser: training starts from "
            "its weights at step 0, with a fresh optimiser."
        )
        return False
    optimizer = make_optimizer([_without_values(group) for group in groups])
    wrong = _groups(checkpoint["optimizer_states"][0]["param_groups"], optimizer)
    wrong = wrong or _states(checkpoint["optimizer_states"][0]["state"], optimizer)
    if wrong:
        raise UserError(
            f"The checkpoint's optimiser is not the configured {type(optimizer).__name__}: {some_of(wrong, '; ')}. "
            "Resume with the optimiser of its run. To train on from its weights with another, convert the checkpoint "
            "to .safetensors, and that to .ckpt."
        )
    scheduler = LambdaLR(optimizer, [lambda _: 1.0] * len(groups))
    wrong = _differences(checkpoint["lr_schedulers"][0], scheduler.state_dict(), "lr_schedulers")
    wrong += _differences(checkpoint["loops"]["fit_loop"], loops, "loops")
    if wrong:
        raise UserError(f"The checkpoint's training state is not of this version: {some_of(wrong, '; ')}.")
    return True


def _without_values(group: dict[str, Any]) -> dict[str, Any]:
    """A parameter group of the same shapes that takes no memory."""
    shapes = [nn.Parameter(torch.empty_like(parameter, device="meta")) for parameter in group["params"]]
    return {**group, "params": shapes}


def _groups(saved: list[dict[str, Any]], optimizer: Optimizer) -> list[str]:
    """What is different about the groups' parameters; their settings are the configuration's."""
    own = optimizer.state_dict()["param_groups"]
    if [group["params"] for group in saved] != [group["params"] for group in own]:
        sizes = [[len(group["params"]) for group in groups] for groups in (saved, own)]
        return [f"it has groups of {sizes[0]} parameters, not {sizes[1]}"]
    return []


def _states(saved: dict[int, dict[str, Any]], optimizer: Optimizer) -> list[str]:
    """What is different about the state of each parameter, which is known after a step without values."""
    expected = _state_after_a_step(optimizer)
    if expected is None:
        return []
    wrong = [f"there is no parameter {number}" for number in saved if number not in expected]
    if expected and any(expected.values()) and not any(saved.values()):
        wrong.append("its state is missing")
    for number, entry in saved.items():
        for name in sorted(expected.get(number, {}).keys() ^ entry.keys()):
            wrong.append(f"parameter {number} has {'no' if name not in entry else 'a'} {name[:100]}")
        for name, value in entry.items():
            like = expected.get(number, {}).get(name)
            if isinstance(like, Tensor) != isinstance(value, Tensor) or (
                isinstance(like, Tensor) and like.shape != value.shape
            ):
                wrong.append(f"{name[:100]} of parameter {number} is of another kind or shape")
    return wrong


def _state_after_a_step(optimizer: Optimizer) -> dict[int, dict[str, Any]] | None:
    """The state by parameter; None for an optimiser that cannot step without values."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    try:
        optimizer.step()
    except Exception:  # whatever it needs values for
        return None
    numbers = range(sum(len(group["params"]) for group in optimizer.param_groups))
    return {number: optimizer.state_dict()["state"].get(number, {}) for number in numbers}


def _differences(saved: Any, own: Any, where: str) -> list[str]:
    """Where nested values differ in their names or types. A whole number may stand for another."""
    if isinstance(own, Mapping) and isinstance(saved, Mapping):
        wrong = [f"{where}.{str(name)[:100]} is missing" for name in own if name not in saved]
        wrong += [f"{where}.{str(name)[:100]} is unknown" for name in saved if name not in own]
        return wrong + [
            each for name in own if name in saved for each in _differences(saved[name], own[name], f"{where}.{name}")
        ]
    if isinstance(own, list | tuple) and isinstance(saved, list | tuple):
        if len(own) != len(saved):
            return [f"{where} has {len(saved)} entries, not {len(own)}"]
        return [each for a, b in zip(saved, own, strict=True) for each in _differences(a, b, where)]
    same = not isinstance(saved, str | Mapping) if own is None else _kind(saved) == _kind(own)
    return [] if same else [f"{where} is of another type"]


def _kind(value: Any) -> type:
    if isinstance(value, bool) or value is None:
        return bool
    return float if isinstance(value, int | float | Tensor) else type(value)
