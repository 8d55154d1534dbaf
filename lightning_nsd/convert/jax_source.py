"""Checkpoints of the JAX source, and golden files in their layout."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_info

from lightning_nsd.checkpoints.loading import build_model_of
from lightning_nsd.convert.source_keys import Arrays, Entry, to_state_dict
from lightning_nsd.convert.source_settings import entries_of, settings_of
from lightning_nsd.errors import UserError
from lightning_nsd.files.orbax_folder import flatten, is_orbax, read_orbax
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.settings.numbers import shown

COUNTS = ("sample_size", "image_size", "in_channels", "diffusion_steps", "encoder_heads", "encoder_dim_head")
NAMES = ("noise_schedule", "mode_conditioning", "mode_context", "encoder_mode", "pool", "encoder_tokenize_mode")
NUMBERS = ("lr", "weight_decay", "dropout")


@dataclass(frozen=True)
class SourceCheckpoint:
    """What a file of the JAX source holds.

    Attributes:
        path: of the file or folder.
        config: its configuration.
        params: its parameters by path.
        ema_params: their moving average, where the file has one.
        moments: Adam's `mu` and `nu` by the parameters' paths, where the file has them.
        count: Adam's step count.
        step: training steps taken.
    """

    path: Path
    config: dict[str, Any]
    params: Arrays
    ema_params: Arrays | None = None
    moments: tuple[Arrays, Arrays] | None = None
    count: int = 0
    step: int = 0

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The arguments of FewShotDiffusion; see `settings_of`."""
        return settings_of(self.config, self.params, str(self.path))

    @cached_property
    def entries(self) -> list[Entry]:
        """The key table of the checkpoint's architecture."""
        return entries_of(self.settings, self.params)


def is_jax_source(path: Path) -> bool:
    """Whether a path looks like a file of the JAX source: a golden `.npz`, or an Orbax folder with its trees."""
    return path.suffix == ".npz" or (is_orbax(path) and {"params", "cfg"} <= read_orbax(path).keys())


def read_jax_source(path: Path) -> SourceCheckpoint:
    """Read a file without interpreting its parameters.

    Raises:
        UserError: no such file, truncated, or of another kind.
    """
    if path.suffix == ".npz":
        return _read_npz(path)
    tree = read_orbax(path)
    missing = [name for name in ("params", "cfg") if name not in tree]
    if missing:
        raise UserError(f"{path} has no tree {missing[0]!r}: it is no checkpoint of the JAX source.")
    adam = _find_adam(tree.get("opt_state"))
    return SourceCheckpoint(
        path=path,
        config=_config(tree["cfg"], path),
        params=flatten(tree["params"]),
        ema_params=flatten(tree["ema_params"]) if tree.get("ema_params") else None,
        moments=(flatten(adam["mu"]), flatten(adam["nu"])) if adam else None,
        count=_count_in(adam["count"], path) if adam else 0,
        step=_count_in(tree.get("step", 0), path),
    )


def _read_npz(path: Path) -> SourceCheckpoint:
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    try:
        with np.load(path, allow_pickle=False) as stored:
            params = {key.removeprefix("params/"): stored[key] for key in stored.files if key.startswith("params/")}
            config = json.loads(str(stored["config"]))
    except Exception as error:  # zip, NumPy and JSON each raise their own on a broken file
        raise UserError(f"{path} is truncated or no file in the golden layout.") from error
    return SourceCheckpoint(path, _config(config, path), flatten(params))


def _count_in(stored: Any, path: Path) -> int:
    value = flatten(stored).get("")
    if value is None or value.shape or value.dtype.kind not in "iu" or value < 0:
        raise UserError(f"{path}: its number of steps is no whole number of 0 or more.")
    return int(value)


def _config(stored: Any, path: Path) -> dict[str, Any]:
    """The configuration as a dict of Python values; Orbax gives arrays of no axes, or one JSON text.

    Raises:
        UserError: an entry that is read here is of the wrong type.
    """
    try:
        content = json.loads(stored) if isinstance(stored, str) else stored
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its configuration cannot be read; it is no JSON.") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: its configuration is no mapping of names to values.")
    config = {key: value.item() if getattr(value, "size", 0) == 1 else value for key, value in content.items()}
    for name in config.keys() & {*COUNTS, *NAMES, *NUMBERS}:
        value, what = config[name], "text"
        if name in COUNTS:
            valid, what = type(value) is int and value > 0, "whole number above 0"
        elif name in NUMBERS:
            valid, what = type(value) in (int, float) and 0 <= value < math.inf, "number of 0 or more"
        else:
            valid = isinstance(value, str)
        if not valid:
            raise UserError(f"{path}: {name} of its configuration is {shown(value)}, which is no {what}.")
    return config


def _find_adam(tree: Any) -> Mapping[str, Any] | None:
    """The state of Adam anywhere in an optimiser's state."""
    if isinstance(tree, Mapping):
        if {"mu", "nu", "count"} <= tree.keys():
            return tree
        branches = list(tree.values())
    else:
        branches = list(tree) if isinstance(tree, list | tuple) else []
    return next((found for branch in branches if (found := _find_adam(branch)) is not None), None)


# ---- from what is stored to a model ----


def build(checkpoint: SourceCheckpoint) -> FewShotDiffusion:
    """A model of the checkpoint's architecture, with its weights and its moving average (or the weights for both).

    Raises:
        UserError: parameters that are missing, left over or mis-shaped, or a position table that was changed.
    """
    source = str(checkpoint.path)
    module = build_model_of(checkpoint.settings, checkpoint.params, source)
    module.model.load_state_dict(to_state_dict(checkpoint.entries, module.model, checkpoint.params, source))
    averaged = checkpoint.ema_params or checkpoint.params
    assert module.ema is not None
    module.ema.load_state_dict(to_state_dict(checkpoint.entries, module.model, averaged, f"{source} (moving average)"))
    if module.model.time_conditioned:
        rank_zero_info(
            f"{source}: its contexts depend on the timestep. The source trained with t and sampled with t = 0; here "
            "they are given each step's own t in both."
        )
    return module


def load_jax_source(path: str | Path) -> FewShotDiffusion:
    """The model of a golden `.npz` or of the JAX source's Orbax checkpoint, in evaluation mode, EMA weights in place.

    Raises:
        UserError: see `read_jax_source` and `build`.
    """
    module = build(read_jax_source(Path(path)))
    assert module.ema is not None
    module.model.load_state_dict(module.ema.state_dict())
    module.ema = None
    return module.eval()
