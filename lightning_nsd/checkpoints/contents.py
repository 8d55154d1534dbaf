"""What a checkpoint has to hold, checked whole before anything is built from it."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import __version__ as lightning_version
from packaging.version import InvalidVersion, Version
from torch import Tensor, nn

from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.errors import UserError
from lightning_nsd.messages import some_of

NETWORKS = ("model.", "ema.")
"""Prefixes of a state_dict's keys: the network, and its moving average."""
TRAINING_STATE = ("optimizer_states", "lr_schedulers", "loops")
"""What only a checkpoint holds that training goes on from; one of weights alone has none of it."""
MAX_VALUES = 1_000_000  # of numbers, texts and containers; a run's checkpoint has thousands
MAX_DEPTH = 40
MAX_TEXT = 100_000
MAX_COUNT = 10**15
MAX_SETTING = 100  # characters, or numbers, of one of an optimiser's


def check_contents(content: Any, source: str) -> dict[str, Any]:
    """A copy of a checkpoint in plain containers and memory of its own, every part of the type that it must have.

    Where there is no optimiser's state, the copy holds weights, settings and step alone: it can be validated, drawn
    from, and trained from with a fresh optimiser.

    Args:
        content: what was unpacked from a file.
        source: of the content, named in errors.

    Raises:
        UserError: names the part that is missing or of another type.
    """
    try:
        copied = _dict(_Copy().of(content, "the checkpoint", 0), "the checkpoint", str)
        model_settings(copied, source)
        return _checked(copied)
    except _WrongError as error:
        raise UserError(f"{source} is no checkpoint that can be used: {error}.") from error


def model_settings(checkpoint: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The settings of the model that a checkpoint is of: what tells it from those of other programs.

    Args:
        checkpoint: content of a file of any kind.
        source: of the content, named in errors.

    Raises:
        UserError: there are none.
    """
    settings = checkpoint.get(HYPERPARAMETERS)
    if not isinstance(settings, dict) or not settings:
        raise UserError(
            f"{source} is no checkpoint of a few-shot diffusion model: it holds no settings of one. Another program "
            "wrote it."
        )
    return settings


def check_weights(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str) -> None:
    """Whether a state holds every parameter of a model, in its shape, and no other.

    Raises:
        UserError: names the first few parameters that do not fit, and how many more there are.
    """
    wrong = [f"{key} is missing" for key in expected if key not in state]
    wrong += [f"{key} is no parameter of it" for key in state if key not in expected]
    wrong += [
        f"{key} has shape {tuple(value.shape)}, {tuple(expected[key].shape)} was expected"
        for key, value in state.items()
        if key in expected and value.shape != expected[key].shape
    ]
    if wrong:
        raise UserError(f"{source}: the weights do not fit the model that is described: {some_of(wrong, '; ')}.")


def has_training_state(checkpoint: Mapping[str, Any]) -> bool:
    """Whether training can go on from a checkpoint; otherwise it holds weights alone."""
    return bool(checkpoint["optimizer_states"])


class _WrongError(Exception):
    """What is wrong with a checkpoint, as the rest of a sentence."""


class _Copy:
    """Copies plain containers, numbers, texts and dense tensors; counts them, for a small file can unfold into many."""

    def __init__(self) -> None:
        self.values = 0
        self.bytes = 0

    def of(self, value: Any, where: str, depth: int) -> Any:
        """The copy of one value, which errors call `where`."""
        self.values += 1
        if self.values > MAX_VALUES or depth > MAX_DEPTH:
            raise _WrongError(f"it holds more than {MAX_VALUES:,} values, or some within themselves")
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return _bounded(value, where)
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise _WrongError(f"{where} is a text of {len(value):,} characters")
            return value
        if isinstance(value, dict):
            return {self._key(key, where): self.of(item, _at(where, key), depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            items = [self.of(item, _at(where, number), depth + 1) for number, item in enumerate(value)]
            return items if isinstance(value, list) else tuple(items)
        if type(value) in (Tensor, nn.Parameter):
            return self._tensor(value, where)
        raise _WrongError(f"{where} is neither a tensor nor a number, a text, a list or a dict")

    def _key(self, key: Any, where: str) -> str | int:
        if isinstance(key, str) and len(key) <= MAX_TEXT:
            return key
        if isinstance(key, int) and not isinstance(key, bool):
            return _bounded(key, where)
        raise _WrongError(f"{where} has a key that is neither a text nor a number")

    def _tensor(self, value: Tensor, where: str) -> Tensor:
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_nested:
            raise _WrongError(f"{where} is a tensor of an unusual kind (sparse, quantised, or without values)")
        size = value.numel() * value.element_size()
        if size > value.untyped_storage().nbytes():
            raise _WrongError(f"{where} is a tensor with more elements than are stored")
        return value.detach().clone()


def _at(where: str, key: Any) -> str:
    return str(key)[:100] if where == "the checkpoint" else f"{where[:200]}.{str(key)[:100]}"


def _bounded(value: int, where: str) -> int:
    if abs(value) > MAX_COUNT:
        raise _WrongError(f"{where} holds a number of more than {len(str(MAX_COUNT)) - 1} digits")
    return value


# ---- what must be there ----


def _checked(checkpoint: dict[str, Any]) -> dict[str, Any]:
    _check_state_dict(_part(checkpoint, "state_dict"))
    _count(_part(checkpoint, "global_step"), "global_step")
    _count(checkpoint.setdefault("epoch", 0), "epoch")
    _dict(checkpoint.setdefault("callbacks", {}), "callbacks", str)
    if all(_is_nothing(checkpoint.get(name)) for name in ("optimizer_states", "lr_schedulers")):
        checkpoint.pop("loops", None)
        checkpoint.update(optimizer_states=[], lr_schedulers=[])
        checkpoint.setdefault("pytorch-lightning_version", lightning_version)
    else:
        for name, check in zip(TRAINING_STATE, (_check_optimizer, _check_scheduler, _check_loops), strict=True):
            check(_part(checkpoint, name))
    _check_version(_part(checkpoint, "pytorch-lightning_version"))
    return checkpoint


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, list) and not value)


def _part(of: dict[Any, Any], name: str) -> Any:
    if name not in of:
        raise _WrongError(f"it has no {name}")
    return of[name]


def _dict(value: Any, where: str, key: type) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise _WrongError(f"{where} is no dict")
    wrong = next((name for name in value if type(name) is not key), None)
    if wrong is not None:
        raise _WrongError(f"{where} has the key {str(wrong)[:100]!r}, which is no {'text' if key is str else 'number'}")
    return value


def _count(value: Any, where: str) -> None:
    if type(value) is not int or value < 0:
        raise _WrongError(f"{where} is no whole number of 0 or more")


def _one(value: Any, where: str) -> dict[Any, Any]:
    """The only dict of a list: there is one optimiser, and one schedule."""
    if not isinstance(value, list) or len(value) != 1:
        raise _WrongError(f"{where} is no list of one state")
    return _dict(value[0], f"{where}.0", str)


def _check_version(value: Any) -> None:
    try:
        Version(value)
    except (InvalidVersion, TypeError) as error:
        raise _WrongError("pytorch-lightning_version is no version") from error


def _check_state_dict(state: Any) -> None:
    """Floating tensors of the network and of its moving average, the same of both."""
    _dict(state, "state_dict", str)
    shapes: list[dict[str, torch.Size]] = [{}, {}]
    for key, value in state.items():
        of = next((number for number, prefix in enumerate(NETWORKS) if key.startswith(prefix)), None)
        if of is None:
            raise _WrongError(f"state_dict.{key[:100]} belongs neither to the model nor to its moving average")
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise _WrongError(f"state_dict.{key[:100]} is no tensor of floating-point numbers")
        shapes[of][key.removeprefix(NETWORKS[of])] = value.shape
    if not shapes[0]:
        raise _WrongError("state_dict holds no weights")
    for mine, prefix, others in ((shapes[0], NETWORKS[0], shapes[1]), (shapes[1], NETWORKS[1], shapes[0])):
        missing = [f"{prefix}{key[:100]} is missing" for key in others if key not in mine]
        if missing:
            raise _WrongError(f"of the model and its moving average, {some_of(missing, ', ')}")
    different = [key[:100] for key in shapes[0] if shapes[0][key] != shapes[1][key]]
    if different:
        raise _WrongError(f"the model and its moving average have other shapes: {some_of(different, ', ')}")


def _check_optimizer(value: Any) -> None:
    optimizer = _one(value, "optimizer_states")
    state = _dict(_part(optimizer, "state"), "optimizer_states.0.state", int)
    for number, entry in state.items():
        where = f"optimizer_states.0.state.{number}"
        for name, item in _dict(entry, where, str).items():
            if not isinstance(item, Tensor | int | float | None):
                raise _WrongError(f"{where}.{name[:100]} is neither a tensor nor a number")
    groups = _part(optimizer, "param_groups")
    if not isinstance(groups, list) or not groups:
        raise _WrongError("optimizer_states.0.param_groups is no list of groups")
    for number, group in enumerate(groups):
        where = f"optimizer_states.0.param_groups.{number}"
        numbers = _part(_dict(group, where, str), "params")
        if not isinstance(numbers, list) or not all(type(item) is int for item in numbers):
            raise _WrongError(f"{where}.params is no list of numbers")
        for name, item in group.items():
            items = item if isinstance(item, list | tuple) and name != "params" else [item]
            if name != "params" and (len(items) > MAX_SETTING or not all(map(_is_setting, items))):
                raise _WrongError(f"{where}.{name[:100]} is no setting of an optimiser")


def _is_setting(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_SETTING
    return value.numel() == 1 if isinstance(value, Tensor) else isinstance(value, int | float | None)


def _check_scheduler(value: Any) -> None:
    _one(value, "lr_schedulers")


def _check_loops(value: Any) -> None:
    _dict(value, "loops", str)
    _dict(_part(value, "fit_loop"), "loops.fit_loop", str)
    _each_leaf(value, "loops", _check_counter)


def _each_leaf(value: Any, where: str, check: Callable[[Any, str], None]) -> None:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _each_leaf(item, _at(where, key), check)
    else:
        check(value, where)


def _check_counter(value: Any, where: str) -> None:
    if not isinstance(value, bool):
        _count(value, where)
