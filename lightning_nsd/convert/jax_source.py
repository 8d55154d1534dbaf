"""Checkpoints of the JAX source, and golden files in their layout."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightning_nsd.checkpoints.loading import build_model_of
from lightning_nsd.convert.source_keys import (
    CONSTANT,
    DENOISER,
    ENCODER,
    Arrays,
    Entry,
    context_entries,
    denoiser_entries,
    encoder_entries,
    to_state_dict,
)
from lightning_nsd.errors import UserError
from lightning_nsd.files.orbax_folder import flatten, is_orbax, read_orbax
from lightning_nsd.model.dit import DiT
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.settings.numbers import shown

ENCODER_HEADS, ENCODER_HEAD_DIM = 12, 64  # fixed in the source
UNSUPPORTED = ("class_cond", "timestep_respacing", "use_kl", "rescale_timesteps")
COUNTS = ("sample_size", "image_size", "in_channels", "diffusion_steps")
NAMES = ("noise_schedule", "mode_conditioning", "mode_context", "encoder_mode", "pool")
NUMBERS = ("lr", "weight_decay")


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


def settings_of(checkpoint: SourceCheckpoint) -> dict[str, Any]:
    """The arguments of FewShotDiffusion: sizes from the parameters' shapes, the rest from the configuration.

    Raises:
        UserError: a configuration that has no counterpart, or a parameter that is needed and missing.
    """
    config, params, path = checkpoint.config, checkpoint.params, checkpoint.path
    refused = [name for name in UNSUPPORTED if config.get(name)]
    if refused:
        raise UserError(f"{path}: {refused[0]} = {config[refused[0]]!r} has no counterpart here.")
    if config.get("encoder_mode", "vit_set") != "vit_set":
        raise UserError(f"{path}: encoder_mode is {config['encoder_mode']!r}; only vit_set ever ran in the source.")

    def shape(key: str, axes: int) -> tuple[int, ...]:
        if key not in params or params[key].ndim != axes:
            found = "is missing" if key not in params else f"has shape {params[key].shape}"
            raise UserError(f"{path}: the parameter {key} {found}; an array of {axes} axes was expected.")
        return params[key].shape

    try:
        n_shot, image_size, channels = (int(config[key]) for key in ("sample_size", "image_size", "in_channels"))
        conditioning = {"film": "film", "lag": "cross_attention"}[config["mode_conditioning"]]
        context = {"deterministic": "DeterministicContext", "variational": "VariationalContext"}[config["mode_context"]]
        num_steps, schedule = int(config["diffusion_steps"]), config["noise_schedule"]
    except KeyError as error:
        raise UserError(f"{path}: its configuration has no (or an unknown) {error}.") from error
    patch_values, context_dim = shape(f"{ENCODER}to_patch_embedding/proj/kernel", 2)
    patch_size, _, _, hidden_size = shape(f"{DENOISER}PatchEmbed_0/Conv_0/kernel", 4)
    _, num_heads, _ = shape(f"{DENOISER}DiTBlock_0/MultiHeadDotProductAttention_0/query/kernel", 3)
    mlp_dim = shape(f"{DENOISER}DiTBlock_0/MlpBlock_0/Dense_0/kernel", 2)[1]
    encoder_mlp_dim = shape(f"{ENCODER}transformer/layer_0/FeedForward_0/Dense_0/kernel", 2)[1]
    return {
        "image_size": image_size,
        "channels": channels,
        "n_shot": n_shot,
        "encoder": {
            "class_path": "lightning_nsd.model.set_vit.SetViT",
            "init_args": {
                "patch_size": math.isqrt(patch_values // (channels * n_shot)),
                "context_dim": context_dim,
                "depth": _count(params, f"{ENCODER}transformer/layer_"),
                "num_heads": ENCODER_HEADS,
                "head_dim": ENCODER_HEAD_DIM,
                "mlp_dim": encoder_mlp_dim,
                "pool": config.get("pool", "cls"),
            },
        },
        "context": {"class_path": f"lightning_nsd.model.context.{context}"},
        "denoiser": {
            "class_path": "lightning_nsd.model.dit.DiT",
            "init_args": {
                "conditioning": conditioning,
                "patch_size": patch_size,
                "hidden_size": hidden_size,
                "depth": _count(params, f"{DENOISER}DiTBlock_"),
                "num_heads": num_heads,
                "mlp_ratio": mlp_dim / hidden_size,
            },
        },
        "diffusion": {
            "num_steps": num_steps,
            "schedule": schedule,
            "prediction": "x_0" if config.get("predict_xstart") else "eps",
            "variance": "learned" if config.get("learn_sigma") else "fixed_large",
        },
    }


def _count(params: Arrays, prefix: str) -> int:
    """How many numbered branches start with a prefix."""
    return len({key.removeprefix(prefix).split("/")[0] for key in params if key.startswith(prefix)})


def entries_of(checkpoint: SourceCheckpoint) -> list[Entry]:
    """The key table of a checkpoint's architecture."""
    params = checkpoint.params
    cross_attention = checkpoint.config["mode_conditioning"] == "lag"
    entries = encoder_entries(_count(params, f"{ENCODER}transformer/layer_"))
    entries += denoiser_entries(_count(params, f"{DENOISER}DiTBlock_"), cross_attention)
    variational = checkpoint.config["mode_context"] == "variational"
    return entries + (context_entries() if variational else [])


def build(checkpoint: SourceCheckpoint) -> FewShotDiffusion:
    """A model of the checkpoint's architecture, with its weights and its moving average (or the weights for both).

    Raises:
        UserError: parameters that are missing, left over or mis-shaped, or a position table that was changed.
    """
    source = str(checkpoint.path)
    module = build_model_of(settings_of(checkpoint), checkpoint.params, source)
    entries = entries_of(checkpoint)
    module.model.load_state_dict(to_state_dict(entries, module.model, checkpoint.params, source))
    averaged = checkpoint.ema_params or checkpoint.params
    assert module.ema is not None
    module.ema.load_state_dict(to_state_dict(entries, module.model, averaged, f"{source} (moving average)"))
    _check_positions(module, checkpoint)
    return module


def _check_positions(module: FewShotDiffusion, checkpoint: SourceCheckpoint) -> None:
    """The source stores the sine table as a parameter (weight decay shrinks it); here it is a constant."""
    stored = checkpoint.params.get(CONSTANT)
    if stored is None:
        return
    denoiser = module.model.denoiser
    assert isinstance(denoiser, DiT)
    expected = denoiser.position.values.shape[-2:]
    if stored.shape[-2:] != expected:
        raise UserError(f"{checkpoint.path}: {CONSTANT} has shape {stored.shape}, {expected} was expected.")


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
