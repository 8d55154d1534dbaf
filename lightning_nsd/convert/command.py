"""`python -m lightning_nsd convert`: the direction follows from what the files are."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lightning_nsd.checkpoint_io import read_checkpoint, write_atomically
from lightning_nsd.convert.jax_layout import from_jax, to_jax
from lightning_nsd.convert.jax_source import is_jax_source, read_jax_source
from lightning_nsd.convert.lightning_checkpoint import continue_from
from lightning_nsd.convert.orbax_io import flatten, read_orbax, unflatten, write_orbax
from lightning_nsd.errors import UserError
from lightning_nsd.function_cli import run_function
from lightning_nsd.hyperparameters import HYPERPARAMETERS
from lightning_nsd.loading import build_model
from lightning_nsd.messages import reason
from lightning_nsd.terminal import console
from lightning_nsd.whole_file import check_place, whole_file

NETWORKS = ("model", "ema")


@dataclass(frozen=True)
class Weights:
    """What every kind of file can hold.

    Attributes:
        settings: arguments of FewShotDiffusion.
        state: its state_dict: `model.…` and `ema.…`.
        step: optimiser steps taken.
        checkpoint: the whole Lightning checkpoint where there is one, with the optimiser's state.
    """

    settings: dict[str, Any]
    state: dict[str, Tensor]
    step: int
    checkpoint: dict[str, Any]


def convert(input: Path, output: Path) -> None:
    """Convert checkpoints between Lightning (.ckpt), safetensors and the JAX reference; and from the JAX source.

    From the JAX source (its Orbax folder, or a golden .npz) to .ckpt, weights, moving average, Adam's moments and the
    step are carried over, so that `fit --ckpt_path` goes on with them. safetensors and the JAX reference's folder hold
    weights, moving average, settings and step, and no optimiser: what is made of them can be sampled from.

    Args:
        input: file or folder to read.
        output: file or folder to write; it must not exist.

    Raises:
        UserError: see the messages; nothing is written then.
    """
    _check_output(output)
    weights = read(input)
    write(weights, output)
    count = sum(value.numel() for key, value in weights.state.items() if key.startswith("model."))
    console().print(f"{output}: {count:,} parameters and their moving average, step {weights.step}")


def read(path: Path) -> Weights:
    """Any file that can be converted.

    Raises:
        UserError: missing, damaged, of an unknown kind, or with parameters that do not fit its settings.
    """
    if path.suffix == ".ckpt":
        return _from_checkpoint(read_checkpoint(path), path)
    if path.suffix == ".safetensors":
        return _from_safetensors(path)
    if path.suffix == ".npz" or path.is_dir():
        if is_jax_source(path):
            return _from_checkpoint(continue_from(read_jax_source(path)), path)
        return _from_jax_reference(path)
    what = "no checkpoint of a known kind" if path.exists() else "not there"
    raise UserError(f"--input: {path} is {what} (.ckpt, .safetensors, .npz, or an Orbax folder).")


def write(weights: Weights, path: Path) -> None:
    """To the kind that the name says: .ckpt, .safetensors, or an Orbax folder for a name without a suffix.

    Raises:
        UserError: the file cannot be written; nothing of it is left then.
    """
    try:
        if path.suffix == ".ckpt":
            write_atomically(weights.checkpoint, path)
        elif path.suffix == ".safetensors":
            _to_safetensors(weights, path)
        else:
            _to_jax_reference(weights, path)
    except OSError as error:
        raise UserError(f"--output: {path} could not be written ({reason(error)}).") from error


def _check_output(path: Path) -> None:
    """Whether the output can be written, before anything is read."""
    if path.suffix not in (".ckpt", ".safetensors", ""):
        raise UserError(f"--output: {path} ends in neither .ckpt nor .safetensors, nor in nothing (an Orbax folder).")
    if os.path.lexists(path):
        raise UserError(f"--output: {path} exists; name another.")
    check_place(path, "--output")


def _from_checkpoint(checkpoint: dict[str, Any], path: Path) -> Weights:
    settings = checkpoint.get(HYPERPARAMETERS)
    if not isinstance(settings, dict):
        raise UserError(f"{path} holds no settings of a few-shot diffusion model: another program wrote it.")
    _check(checkpoint["state_dict"], settings, path)
    return Weights(settings, checkpoint["state_dict"], int(checkpoint["global_step"]), checkpoint)


def _check(state: dict[str, Tensor], settings: dict[str, Any], path: Path) -> None:
    """Every parameter of the model that the settings describe, in its shape, and no other."""
    expected = build_model(settings, str(path)).state_dict()
    for key, value in expected.items():
        if key not in state:
            raise UserError(f"{path}: the parameter {key} is missing.")
        if state[key].shape != value.shape:
            raise UserError(f"{path}: {key} has shape {tuple(state[key].shape)}, {tuple(value.shape)} was expected.")
    extra = sorted(state.keys() - expected.keys())
    if extra:
        raise UserError(f"{path}: {', '.join(extra[:10])}: parameters that this model does not have.")


def _without_optimizer(settings: dict[str, Any], state: dict[str, Tensor], step: int, path: Path) -> Weights:
    _check(state, settings, path)
    checkpoint = {"state_dict": state, "global_step": step, "epoch": 0, HYPERPARAMETERS: settings}
    return Weights(settings, state, step, checkpoint)


# ---- safetensors ----


def _to_safetensors(weights: Weights, path: Path) -> None:
    metadata = {HYPERPARAMETERS: json.dumps(weights.settings), "step": str(weights.step)}
    content = save({key: value.contiguous() for key, value in weights.state.items()}, metadata)
    with whole_file(path) as file:
        file.write(content)


def _from_safetensors(path: Path) -> Weights:
    if not path.is_file():
        raise UserError(f"--input: there is no file {path}.")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        settings, step = json.loads(metadata[HYPERPARAMETERS]), int(metadata["step"])
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is truncated or no safetensors file: {error}") from error
    except KeyError as error:
        raise UserError(f"{path} holds no settings of a few-shot diffusion model ({error} is missing).") from error
    return _without_optimizer(settings, state, step, path)


# ---- the JAX reference ----


def _to_jax_reference(weights: Weights, path: Path) -> None:
    module = build_model(weights.settings, str(path))
    module.load_state_dict(weights.state)
    networks = {"model": module.model, "ema": module.ema}
    tree: dict[str, Any] = {name: unflatten(to_jax(network)) for name, network in networks.items() if network}
    tree["settings"] = np.frombuffer(json.dumps(weights.settings).encode(), dtype=np.uint8)
    tree["step"] = np.asarray(weights.step)
    write_orbax(path, tree)


def _from_jax_reference(path: Path) -> Weights:
    tree = read_orbax(path)
    missing = [name for name in (*NETWORKS, "settings", "step") if name not in tree]
    if missing:
        raise UserError(f"{path} has no tree {missing[0]!r}: neither the JAX reference nor the JAX source wrote it.")
    settings = json.loads(bytes(np.asarray(tree["settings"], np.uint8)).decode())
    module = build_model(settings, str(path))
    state = {}
    for name in NETWORKS:
        arrays = from_jax(module.model, flatten(tree[name]), f"{path} ({name})")
        state.update({f"{name}.{key}": value for key, value in arrays.items()})
    return _without_optimizer(settings, state, int(np.asarray(tree["step"])), path)


def main(arguments: Sequence[str]) -> None:
    """The command line of `convert`."""
    run_function(convert, arguments)
