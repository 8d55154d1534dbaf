"""Configs laid over each other, each class as a mapping of `class_path` and `init_args`."""

from collections.abc import Mapping
from typing import Any

CLASS_PATH = "class_path"
PARTS = ("encoder", "context", "denoiser", "spatial_context", "sampler", "optimizer", "autoencoder", "backbone")
"""What of a `model` section may be a class's name alone."""


def with_classes(content: Mapping[str, Any]) -> dict[str, Any]:
    """A config's content with every class that is named alone as a mapping."""
    written_out = {**content}
    if isinstance(content.get("data"), str):
        written_out["data"] = {CLASS_PATH: content["data"]}
    if isinstance(model := content.get("model"), dict):
        named = {part: {CLASS_PATH: model[part]} for part in PARTS if isinstance(model.get(part), str)}
        written_out["model"] = {**model, **named}
    return written_out


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The content of two configs as one; where both name a class and not the same, that of the upper one alone."""
    merged = {**below}
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and _are_of_one_class(old, value):
            value = laid_over(old, value)
        merged[key] = value
    return merged


def _are_of_one_class(below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    return CLASS_PATH not in above or class_name(above) == class_name(below)


def class_name(described: Mapping[str, Any]) -> str:
    """The last part of what names a class; nothing where nothing does."""
    return str(described.get(CLASS_PATH, "")).rpartition(".")[2]
