"""`python -m lightning_nsd convert`: the direction follows from what the files are."""

import os
from collections.abc import Sequence
from pathlib import Path

from lightning_nsd.checkpoints.loading import MODEL_PREFIX, network_of
from lightning_nsd.checkpoints.trusted_classes import as_names
from lightning_nsd.commands.function_cli import run_function
from lightning_nsd.convert.weights import read, write
from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import check_place
from lightning_nsd.terminal import console


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


def _check_output(path: Path) -> None:
    """Whether the output can be written, before anything is read."""
    if path.suffix not in (".ckpt", ".safetensors", ""):
        raise UserError(f"--output: {path} ends in neither .ckpt nor .safetensors, nor in nothing (an Orbax folder).")
    if os.path.lexists(path):
        raise UserError(f"--output: {path} exists; name another.")
    check_place(path, "--output")


def main(arguments: Sequence[str]) -> None:
    """The command line of `convert`."""
    run_function(convert, arguments)
