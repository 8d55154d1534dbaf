"""From the name of an extractor, or the class path of any module, to the extractor; and what its distance is called."""

import importlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lightning_nsd.errors import UserError
from lightning_nsd.extractors.extractor import Extractor, content_fingerprint

NAMES = ("inception", "efficientnet_lite0", "glyphnet")


def check_name(name: str) -> None:
    """Whether `build_extractor` can know what is meant.

    Raises:
        UserError: neither one of the names nor a class path.
    """
    if name not in NAMES and "." not in name:
        raise UserError(
            f"There is no extractor {name}. Known: {', '.join(NAMES)}; or the class path of a torch module."
        )


def build_extractor(name: str, arguments: Mapping[str, Any] | None = None) -> Extractor:
    """Load an extractor; torch's own random state is left as it is.

    Args:
        name: one of `NAMES`, or the class path of a `torch.nn.Module` from uint8 `(n, 3, H, W)` to `(n, d)`.
        arguments: of its constructor; `weights_path` for `inception`, for example.

    Raises:
        UserError: an unknown name, or weights that are missing or wrong; says where to get them.
        Exception: whatever a module of the user's own raises.
    """
    check_name(name)
    with torch.random.fork_rng(devices=[], device_type="cpu"), torch.inference_mode(False):
        if name in NAMES:
            module = importlib.import_module(f"lightning_nsd.extractors.{name}")
            try:
                return module.build(**(arguments or {}))
            except TypeError as error:
                raise UserError(f"extractor_args of {name}: {error}") from error
        return _from_class_path(name, arguments or {})


def build_score_extractor(arguments: Mapping[str, Any] | None = None) -> Extractor:
    """Inception's class scores and spatial features, for `metrics.inception_scores`; see `build_extractor`."""
    from lightning_nsd.extractors import inception

    with torch.random.fork_rng(devices=[], device_type="cpu"), torch.inference_mode(False):
        return inception.build_scores(**(arguments or {}))


def _from_class_path(path: str, arguments: Mapping[str, Any]) -> Extractor:
    module_name, _, class_name = path.rpartition(".")
    try:
        network_class = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"The extractor {path} cannot be imported: {error}") from error
    if not (isinstance(network_class, type) and issubclass(network_class, nn.Module)):
        raise UserError(f"The extractor {path} is no torch.nn.Module.")
    network = network_class(**arguments)
    return Extractor(network, class_name.lower(), content_fingerprint(network, arguments))


def distance_name(extractor: str) -> str:
    """`fid` for Inception's Fréchet distance alone; `fd_<name>` for every other, so that they are never mixed up."""
    return "fid" if extractor == "inception" else f"fd_{extractor.rpartition('.')[2].lower()}"


def kernel_name(extractor: str) -> str:
    """`kid` for Inception's kernel distance alone; `kd_<name>` for every other."""
    return "kid" if extractor == "inception" else f"kd_{extractor.rpartition('.')[2].lower()}"
