"""`python -m lightning_nsd convert`: the direction follows from what the files are, and from `--format` of a folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lightning_nsd.checkpoints.loading import MODEL_PREFIX, network_of
from lightning_nsd.checkpoints.places import check_repo, find_model
from lightning_nsd.checkpoints.trusted_classes import as_names
from lightning_nsd.commands.function_cli import run_function
from lightning_nsd.commands.model_folder import make_folder
from lightning_nsd.convert.weights import read, write
from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import check_place
from lightning_nsd.hub.card import About
from lightning_nsd.hub.folder import DType
from lightning_nsd.terminal import console

FILES = (".ckpt", ".safetensors")
FolderFormat = Literal["orbax", "hub"]


def convert(
    input: Path,
    output: Path,
    format: FolderFormat | None = None,
    dtype: DType | None = None,
    licence: str | None = None,
    repo: str | None = None,
    trained_by: str | None = None,
    allow: str | list[str] | None = None,
) -> None:
    """Convert checkpoints between Lightning (.ckpt), safetensors and the JAX reference; and from the JAX source.

    From the JAX source (its Orbax folder, or a golden .npz) to .ckpt, weights, moving average, Adam's moments and the
    step are carried over, so that `fit --ckpt_path` goes on with them. safetensors and the JAX reference's folder hold
    weights, moving average, settings and step, and no optimiser: `fit --ckpt_path` starts from their weights with a
    fresh one. A hub's folder holds the moving average alone, which is what a model draws with, and a card.

    Args:
        input: file or folder to read; or `hf://owner/name`.
        output: file or folder to write; it must not exist.
        format: what a folder is to be: `orbax`, for the JAX reference, where not given; or `hub`, for
            `lightning_nsd.load`, `push` and hubs.
        dtype: of the weights in a hub's folder, float32 where not given; those of 16 bits take half the room, and are
            float32 again once they are loaded.
        licence: of the weights in a hub's folder, as hubs name it, such as `apache-2.0`; `unknown` where not given.
        repo: `owner/name`, where a hub's folder is going to be: the examples of its card load it from there.
        trained_by: the command that trained the model, for the card of a hub's folder.
        allow: class paths that the input may name beside this package's own.

    Raises:
        UserError: see the messages; nothing is written then.
    """
    for_hub = {"dtype": dtype, "licence": licence, "repo": repo, "trained_by": trained_by}
    _check_output(output, format, [f"--{name}" for name, value in for_hub.items() if value is not None])
    if repo is not None:
        check_repo(repo, f"--repo is {repo}")
    source = find_model(input)
    weights = read(source, as_names(allow))
    count = sum(value.numel() for value in network_of(weights.state, MODEL_PREFIX).values())
    if format == "hub":
        address = str(output) if repo is None else f"hf://{repo}"
        about = About.of(repo or output.absolute().name, address, weights.step, dtype, licence, trained_by)
        make_folder(output, source, weights, about, as_names(allow))
        console().print(f"{output}: a model's folder of {count:,} parameters in {about.dtype}, step {weights.step}")
        return
    write(weights, output)
    is_orbax = output.suffix not in FILES
    hint = " (an Orbax folder for the JAX reference; --format hub makes a model's folder)" if is_orbax else ""
    console().print(f"{output}: {count:,} parameters and their moving average, step {weights.step}{hint}")


def _check_output(path: Path, format: FolderFormat | None, for_hub: Sequence[str]) -> None:
    """Whether the output can be written, before anything is read."""
    if format is None and path.suffix not in (*FILES, ""):
        raise UserError(
            f"--output: {path} ends in neither .ckpt nor .safetensors, nor in nothing (an Orbax folder). For a folder "
            "of another name give --format."
        )
    if format is not None and path.suffix in FILES:
        raise UserError(f"--format is {format}, which is a folder, and --output {path} is the name of a file.")
    if for_hub and format != "hub":
        raise UserError(f"{', '.join(for_hub)}: that is for a hub's folder; add --format hub.")
    if os.path.lexists(path):
        raise UserError(f"--output: {path} exists; name another.")
    check_place(path, "--output")


def main(arguments: Sequence[str]) -> None:
    """The command line of `convert`."""
    run_function(convert, arguments)
