"""`python -m lightning_nsd convert`: the direction follows from what the files are."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from lightning_nsd.checkpoints.contents import check_contents, check_weights
from lightning_nsd.checkpoints.io import read_checkpoint, write_atomically
from lightning_nsd.checkpoints.loading import MODEL_PREFIX, build_model_of, network_of
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.checkpoints.trusted_classes import as_names
from lightning_nsd.commands.function_cli import run_function
from lightning_nsd.convert.jax_layout import from_jax, to_jax
from lightning_nsd.convert.jax_source import is_jax_source, read_jax_source
from lightning_nsd.convert.lightning_checkpoint import continue_from
from lightning_nsd.convert.orbax_io import flatten, read_orbax, unflatten, write_orbax
from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import check_place, whole_file
from lightning_nsd.messages import reason
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.terminal import console

NETWORKS = ("model", "ema")


@dataclass(frozen=True)
class Weights:
    """What every kind of file can hold.

    Attributes:
        module: the model, with its weights and their moving average.
        step: optimiser steps taken.
        checkpoint: the whole Lightning checkpoint, with the optimiser's state where there is one.
    """

    module: FewShotDiffusion
    step: int
    checkpoint: dict[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of FewShotDiffusion, as the file has them."""
        return self.checkpoint[HYPERPARAMETERS]

    @property
    def state(self) -> dict[str, Tensor]:
        """The model's state_dict: `model.…` and `ema.…`."""
        return self.checkpoint["state_dict"]


def convert(input: Path, output: Path, allow: str | list[str] | None = None) -> None:
    """Convert checkpoints between Lightning (.ckpt), safetensors and the JAX reference; and from the JAX source.

    From the JAX source (its Orbax folder, or a golden .npz) to .ckpt, weights, moving average, Adam's moments and the
    step are carried over, so that `fit --ckpt_path` goes on with them. safetensors and the JAX reference's folder hold
    weights, moving average, settings and step, and no optimiser: `fit --ckpt_path` starts from their weights with a
    fresh one.

    Args:
        input: file or folder to read.
        output: file or folder to write; it must not exist.
        allow: class paths that the input may name beside this package's own.

    Raises:
        UserError: see the messages; nothing is written then.
    """
    _check_output(output)
    weights = read(input, as_names(allow))
    write(weights, output)
    count = sum(value.numel() for value in network_of(weights.state, MODEL_PREFIX).values())
    console().print(f"{output}: {count:,} parameters and their moving average, step {weights.step}")


def read(path: Path, allow: Sequence[str] = ()) -> Weights:
    """Any file that can be converted.

    Args:
        path: of a file or folder.
        allow: class paths that it may name beside this package's own.

    Raises:
        UserError: missing, damaged, of an unknown kind, or with parameters that do not fit its settings.
    """
    if path.suffix == ".ckpt":
        checkpoint = read_checkpoint(path)
    elif path.suffix == ".safetensors":
        checkpoint = _from_safetensors(path)
    elif path.suffix == ".npz" or path.is_dir():
        checkpoint = continue_from(read_jax_source(path)) if is_jax_source(path) else _from_jax_reference(path, allow)
    else:
        what = "no checkpoint of a known kind" if path.exists() else "not there"
        raise UserError(f"--input: {path} is {what} (.ckpt, .safetensors, .npz, or an Orbax folder).")
    checkpoint = check_contents(checkpoint, str(path))
    settings, state = checkpoint[HYPERPARAMETERS], checkpoint["state_dict"]
    module = build_model_of(settings, network_of(state, MODEL_PREFIX), str(path), allow)
    check_weights(state, module.state_dict(), str(path))
    module.load_state_dict(state)
    return Weights(module, checkpoint["global_step"], checkpoint)


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


# ---- safetensors ----


def _to_safetensors(weights: Weights, path: Path) -> None:
    metadata = {HYPERPARAMETERS: json.dumps(weights.settings), "step": str(weights.step)}
    content = save({key: value.contiguous() for key, value in weights.state.items()}, metadata)
    with whole_file(path) as file:
        file.write(content)


def _from_safetensors(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"--input: there is no file {path}.")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    except Exception as error:  # on a damaged file the library raises what it likes
        raise UserError(f"{path} is truncated or no safetensors file.") from error
    missing = [name for name in (HYPERPARAMETERS, "step") if name not in metadata]
    if missing:
        raise UserError(f"{path} holds no settings of a few-shot diffusion model ({missing[0]} is missing).")
    return _weights_alone(state, _json(metadata[HYPERPARAMETERS], path), _json(metadata["step"], path))


def _weights_alone(state: dict[str, Tensor], settings: Any, step: Any) -> dict[str, Any]:
    """The content of a checkpoint that holds no optimiser."""
    return {"state_dict": state, "global_step": step, HYPERPARAMETERS: settings}


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its settings cannot be read; they are no JSON.") from error


# ---- the JAX reference ----


def _to_jax_reference(weights: Weights, path: Path) -> None:
    networks = {"model": weights.module.model, "ema": weights.module.ema}
    tree: dict[str, Any] = {name: unflatten(to_jax(network)) for name, network in networks.items() if network}
    tree["settings"] = np.frombuffer(json.dumps(weights.settings).encode(), dtype=np.uint8)
    tree["step"] = np.asarray(weights.step)
    write_orbax(path, tree)


def _from_jax_reference(path: Path, allow: Sequence[str]) -> dict[str, Any]:
    tree = read_orbax(path)
    missing = [name for name in (*NETWORKS, "settings", "step") if name not in tree]
    if missing:
        raise UserError(f"{path} has no tree {missing[0]!r}: neither the JAX reference nor the JAX source wrote it.")
    arrays = {name: flatten(tree[name]) for name in NETWORKS}
    stored = flatten({name: tree[name] for name in ("settings", "step")})
    if stored.keys() != {"settings", "step"} or stored["settings"].dtype != np.uint8 or stored["step"].ndim:
        raise UserError(f"{path}: its settings are no text in bytes, or its step is no number.")
    settings = _json(stored["settings"].tobytes().decode(errors="replace"), path)
    network = build_model_of(settings, arrays["model"], str(path), allow).model
    state = {}
    for name in NETWORKS:
        converted = from_jax(network, arrays[name], f"{path} ({name})")
        state.update({f"{name}.{key}": value for key, value in converted.items()})
    return _weights_alone(state, settings, stored["step"].item())


def main(arguments: Sequence[str]) -> None:
    """The command line of `convert`."""
    run_function(convert, arguments)
