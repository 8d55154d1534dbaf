"""`python -m lightning_nsd push`: a model to a repository of a hub."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lightning_nsd.checkpoints.hub_folder import is_hub_folder
from lightning_nsd.checkpoints.places import check_repo
from lightning_nsd.checkpoints.trusted_classes import as_names
from lightning_nsd.commands.function_cli import run_function
from lightning_nsd.commands.model_folder import make_folder
from lightning_nsd.convert.weights import read
from lightning_nsd.errors import UserError
from lightning_nsd.hub.card import About
from lightning_nsd.hub.folder import DType
from lightning_nsd.hub.upload import upload
from lightning_nsd.terminal import console


def push(
    ckpt_path: Path,
    repo: str,
    private: bool = False,
    dtype: DType | None = None,
    licence: str | None = None,
    trained_by: str | None = None,
    allow: str | list[str] | None = None,
) -> None:
    """Upload a model to a hub, with its card. The token is that of `hf auth login`, or of HF_TOKEN.

    Args:
        ckpt_path: a checkpoint, whose folder is made as `convert --format hub` makes it; or such a folder, which is
            uploaded as it is.
        repo: `owner/name`; it is made where there is none, and what it holds under the same names is replaced.
        private: whether a new repository is for its owner alone; one that is there already stays what it is.
        dtype: see `convert`.
        licence: see `convert`.
        trained_by: see `convert`.
        allow: class paths that the checkpoint may name beside this package's own.

    Raises:
        UserError: a model that cannot be read, or a hub that cannot be reached or refuses.
    """
    check_repo(repo, f"--repo is {repo}")
    weights = read(ckpt_path, as_names(allow))  # a folder of weights that do not fit is not uploaded either
    if is_hub_folder(ckpt_path):
        for_card = {"dtype": dtype, "licence": licence, "trained_by": trained_by}
        given = [f"--{name}" for name, value in for_card.items() if value is not None]
        if given:
            raise UserError(f"{', '.join(given)}: that is for a checkpoint; {ckpt_path} is uploaded as it is.")
        url = upload(ckpt_path, repo, private)
    else:
        about = About.of(repo, f"hf://{repo}", weights.step, dtype, licence, trained_by)
        with TemporaryDirectory() as temporary:
            folder = Path(temporary) / about.name
            make_folder(folder, ckpt_path, weights, about, as_names(allow))
            url = upload(folder, repo, private)
    console().print(f"{url}: lightning_nsd.load('hf://{repo}') has it.")


def main(arguments: Sequence[str]) -> None:
    """The command line of `push`."""
    run_function(push, arguments)
