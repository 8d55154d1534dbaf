"""Checkpoints of the JAX reference: Orbax folders of weights, moving average, step, and settings as JSON in bytes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lightning_nsd.checkpoints.contents import model_settings
from lightning_nsd.checkpoints.loading import build_model_of
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS, settings_from_bytes
from lightning_nsd.convert.jax_layout import from_jax, to_jax
from lightning_nsd.errors import UserError
from lightning_nsd.files.orbax_folder import flatten, read_orbax, unflatten, write_orbax
from lightning_nsd.module import FewShotDiffusion

NETWORKS = ("model", "ema")


def write_jax_reference(path: Path, module: FewShotDiffusion, step: int) -> None:
    """Write a model as the reference does, without its optimiser.

    Raises:
        UserError: the folder cannot be written.
    """
    networks = zip(NETWORKS, (module.model, module.evaluation_model), strict=True)
    tree: dict[str, Any] = {name: unflatten(to_jax(network)) for name, network in networks}
    tree["settings"] = np.frombuffer(json.dumps(module.hyperparameters).encode(), dtype=np.uint8)
    tree["step"] = np.asarray(step)
    write_orbax(path, tree)


def read_jax_reference(path: Path, allow: Sequence[str] = ()) -> dict[str, Any]:
    """The content of a checkpoint of weights alone.

    Args:
        path: of the folder.
        allow: class paths that it may name beside this package's own.

    Raises:
        UserError: no such folder, one that is damaged or of another program, or parameters that do not fit.
    """
    tree = read_orbax(path)
    settings = model_settings(_settings_of(tree, path), str(path))
    missing = [name for name in (*NETWORKS, "step") if name not in tree]
    if missing:
        raise UserError(f"{path} has no tree {missing[0]!r}: the JAX reference did not write it.")
    step = flatten(tree["step"]).get("")
    if step is None or step.ndim:
        raise UserError(f"{path}: its step is no number.")
    arrays = {name: flatten(tree[name]) for name in NETWORKS}
    network = build_model_of(settings, arrays["model"], str(path), allow).model
    state = {}
    for name in NETWORKS:
        converted = from_jax(network, arrays[name], f"{path} ({name})")
        state.update({f"{name}.{key}": value for key, value in converted.items()})
    return {"state_dict": state, "global_step": step.item(), HYPERPARAMETERS: settings}


def _settings_of(tree: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The settings where a checkpoint has them; nothing where the tree has none."""
    if "settings" not in tree:
        return {}
    return {HYPERPARAMETERS: settings_from_bytes(tree["settings"], str(path))}
