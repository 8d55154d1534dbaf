"""Orbax checkpoints of a training run, in the layout that `python -m lightning_nsd convert` reads."""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jax_reference.train_step import TrainState
from lightning_nsd.checkpoints.same_model import check_same
from lightning_nsd.checkpoints.settings import settings_from_bytes
from lightning_nsd.errors import UserError
from lightning_nsd.files.orbax_folder import read_orbax, write_orbax
from lightning_nsd.files.whole_file import unfinished
from lightning_nsd.files.whole_folder import find_folder
from lightning_nsd.module import FewShotDiffusion

WHAT_HELPS = "A lower learning rate usually helps, and so does trainer.gradient_clip_val 1.0."
"""Against losses and weights that are not finite."""


def as_tree(state: TrainState, settings: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds: `model`, `ema`, `optimizer`, `step`, and the model's `settings` as JSON in bytes.

    Parameters lie in nested dictionaries by attribute names; a block of a list is named by its number, as text. The
    optimiser's state is flattened, for its structure is optax's own.
    """
    return {
        "model": with_text_keys(state.params),
        "ema": with_text_keys(state.ema_params),
        "optimizer": {str(i): leaf for i, leaf in enumerate(jax.tree.leaves(state.opt_state))},
        "settings": np.frombuffer(json.dumps(settings).encode(), dtype=np.uint8),
        "step": state.step,
    }


def with_text_keys(tree: Any) -> Any:
    """Nested dictionaries with every key as text."""
    return {str(key): with_text_keys(value) for key, value in tree.items()} if isinstance(tree, dict) else tree


def with_keys_of(tree: Any, like: Any) -> Any:
    """Nested dictionaries with the keys of another tree, which may be numbers."""
    return {key: with_keys_of(tree[str(key)], like[key]) for key in like} if isinstance(like, dict) else tree


def save(path: Path, state: TrainState, settings: dict[str, Any]) -> None:
    """Write a checkpoint whole, in the place of an earlier one. Nobody else may be writing it.

    Raises:
        UserError: it cannot be written, or holds weights that are not finite; an earlier one is as it was.
    """
    networks = jax.tree.leaves((state.params, state.ema_params))
    if not all(bool(jax.numpy.isfinite(leaf).all()) for leaf in networks):
        raise UserError(
            f"The weights are not finite after {state.step} steps, and are not saved: {path} is as it was. {WHAT_HELPS}"
        )
    for left in unfinished(path.parent, path.name):
        shutil.rmtree(left)
    write_orbax(path, as_tree(state, settings))


def restore(path: Path, state: TrainState, described: FewShotDiffusion) -> TrainState:
    """The state of a checkpoint, in the structure of `state`; of one of weights alone, that of a training from them.

    Args:
        path: of the checkpoint.
        state: of a training that has not begun.
        described: the configuration's model.

    Raises:
        UserError: there is none; it is damaged, or of another model or optimiser than the configuration's.
    """
    found = find_folder(path)
    if not found.is_dir():
        raise UserError(f"There is no checkpoint {path}: leave out --resume.")
    tree = read_orbax(found)
    if "settings" in tree:
        check_same(settings_from_bytes(tree["settings"], str(path)), described)
    try:
        restored = state._replace(
            params=with_keys_of(tree["model"], state.params), ema_params=with_keys_of(tree["ema"], state.ema_params)
        )
        if "optimizer" in tree:
            leaves = [tree["optimizer"][str(i)] for i in range(len(tree["optimizer"]))]
            opt_state = jax.tree.unflatten(jax.tree.structure(state.opt_state), leaves)
            restored = restored._replace(step=tree["step"], opt_state=opt_state)
    except (KeyError, ValueError, IndexError, TypeError) as error:  # the last two of an array in a dictionary's place
        raise UserError(f"{path} is of another model or optimiser: {error}") from error
    shapes = jax.tree.map(np.shape, restored)
    if shapes != jax.tree.map(np.shape, state):
        raise UserError(f"{path} is of a model with other sizes.")
    return jax.tree.map(jax.numpy.asarray, restored)
