"""Orbax checkpoints of a training run, in the layout that `python -m lightning_nsd convert` reads."""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jax_reference.train_step import TrainState
from lightning_nsd.files.orbax_folder import read_orbax, write_orbax
from lightning_nsd.files.whole_file import unfinished
from lightning_nsd.files.whole_folder import find_folder


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
        UserError: it cannot be written; an earlier one is as it was.
    """
    for left in unfinished(path.parent, path.name):
        shutil.rmtree(left)
    write_orbax(path, as_tree(state, settings))


def restore(path: Path, state: TrainState) -> TrainState:
    """The state of a checkpoint, in the structure of `state`.

    Raises:
        ValueError: there is no checkpoint, or it is of another model.
        UserError: it is damaged.
    """
    found = find_folder(path)
    if not found.is_dir():
        raise ValueError(f"there is no checkpoint {path}")
    tree = read_orbax(found)
    try:
        restored = state._replace(
            step=tree["step"],
            params=with_keys_of(tree["model"], state.params),
            ema_params=with_keys_of(tree["ema"], state.ema_params),
            opt_state=jax.tree.unflatten(
                jax.tree.structure(state.opt_state),
                [tree["optimizer"][str(i)] for i in range(len(tree["optimizer"]))],
            ),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} is of another model or optimiser: {error}") from error
    shapes = jax.tree.map(np.shape, restored)
    if shapes != jax.tree.map(np.shape, state):
        raise ValueError(f"{path} is of a model with other sizes")
    return jax.tree.map(jax.numpy.asarray, restored)
