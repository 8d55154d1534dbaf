"""The YAML that both frameworks train from: a given one with as few changes as a comparison needs."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from jax_reference.config import Config, read_config
from lightning_nsd.files.whole_file import write_text
from parity_tests.tolerances import Dtype

PRECISIONS: dict[Dtype, str] = {"float64": "64-true", "float32": "32-true"}


def shared_changes(root: Path, steps: int, batch_size: int, dtype: Dtype) -> dict[str, Any]:
    """What any comparison of trainings changes in a config, by dotted keys: where, how long, how much, what is logged.

    Args:
        root: folder of the run.
        steps: optimiser steps; annealing ends with them.
        batch_size: episodes in a batch.
        dtype: of parameters and images.
    """
    return {
        "trainer.accelerator": "cpu",
        "trainer.devices": 1,
        "trainer.precision": PRECISIONS[dtype],
        "trainer.max_steps": steps,
        "trainer.log_every_n_steps": 1,
        "trainer.num_sanity_val_steps": 0,
        "trainer.limit_val_batches": 0,  # and with it no pictures and no distances
        "trainer.default_root_dir": str(root),
        "checkpoint.every_n_train_steps": steps,
        "data.init_args.batch_size": batch_size,
    }


def changes_for(
    config: Mapping[str, Any], root: Path, steps: int, batch_size: int, dtype: Dtype, lr: float | None
) -> dict[str, Any]:
    """What a comparison changes in a config, by dotted keys.

    Args:
        config: the config's content.
        root: folder of the torch side's run.
        steps: optimiser steps; annealing ends with them.
        batch_size: episodes in a batch.
        dtype: of parameters and images.
        lr: learning rate; None for the config's own.
    """
    changes = {"model.parity": True, **shared_changes(root, steps, batch_size, dtype)}
    if lr is not None:
        optimizer = config["model"].get("optimizer") or {"class_path": "torch.optim.AdamW"}
        changes["model.optimizer"] = {**optimizer, "init_args": {**(optimizer.get("init_args") or {}), "lr": lr}}
    for part in ("encoder", "denoiser"):  # dropout draws from each framework's own state
        if ((config["model"].get(part) or {}).get("init_args") or {}).get("dropout"):
            changes[f"model.{part}.init_args.dropout"] = 0.0
    if (config.get("trainer") or {}).get("accumulate_grad_batches", 1) != 1:  # the reference has none
        changes["trainer.accumulate_grad_batches"] = 1
    return changes


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A config's content with some values replaced; sections that are missing are added."""
    content = copy.deepcopy(dict(config))
    for key, value in changes.items():
        *sections, last = key.split(".")
        branch = content
        for section in sections:
            branch[section] = branch.get(section) or {}
            branch = branch[section]
        branch[last] = value
    return content


def write_config(
    name: str, output: Path, steps: int, batch_size: int, dtype: Dtype, lr: float | None
) -> tuple[Config, dict[str, Any]]:
    """Write the changed config to `output`, and give it as the reference reads it, with the changes.

    Raises:
        UserError: no such config, or one without a model and its data.
    """
    original = read_config(name)
    content = original.content
    changes = changes_for(content, output / "torch", steps, batch_size, dtype, lr)
    path = output / "config.yaml"
    write_text(path, yaml.safe_dump(changed(content, changes), sort_keys=False))
    return read_config(str(path)), changes
