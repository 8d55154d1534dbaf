"""Where a model is: a file, a folder, a hub, or this package."""

import re
from pathlib import Path

from lightning_nsd.checkpoints.hub_folder import FILES
from lightning_nsd.errors import UserError

SHIPPED = Path(__file__).parent.parent / "assets" / "models" / "glyphs"
"""The model that is drawn from where none is named."""
_HUB = re.compile(r"hf:/{1,2}(?P<repo>[^@]*)(?:@(?P<revision>.*))?", re.DOTALL)  # a Path has one slash of the two
_REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_REVISION = re.compile(r"[\w./-]+", re.ASCII)
NEEDS_HUB = "Models of a hub need the library huggingface_hub: pip install 'lightning-nsd[hub]'."


def find_model(place: str | Path | None) -> Path:
    """The file or folder of a model, fetched first where it is on a hub.

    Args:
        place: a path, which is not looked at; `hf://owner/name[@revision]`; or None for the shipped model.

    Raises:
        UserError: an address that is none, or one whose files can be had neither from the hub nor from its cache.
    """
    if place is None:
        return SHIPPED
    address = _HUB.fullmatch(str(place))
    if not address:
        return Path(place)
    repo, revision = address["repo"], address["revision"]
    check_repo(repo, str(place))
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):  # it becomes part of a path
        raise UserError(f"{place} names no revision after @; it is a branch, a tag or a commit: hf://owner/name@v1.")
    return _fetch(repo, revision)


def check_repo(repo: str, source: str) -> None:
    """Whether a text can be the name of a repository.

    Raises:
        UserError: it cannot.
    """
    if not _REPO.fullmatch(repo) or ".." in repo or len(repo) > 200:
        raise UserError(f"{source}: a repository of a hub is written owner/name, in letters, digits and - _ . alone.")


def _fetch(repo: str, revision: str | None) -> Path:
    """The folder of the hub's cache with the files of one revision."""
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError as error:
        raise UserError(NEEDS_HUB) from error
    address = f"hf://{repo}" + (f"@{revision}" if revision else "")
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(FILES)))
    except errors.GatedRepoError as error:
        why = "is for those whom its owner admits. Ask for access on its page, then log in with `hf auth login`"
        raise UserError(f"{address} {why}.") from error
    except errors.RepositoryNotFoundError as error:
        why = "is not there, or private. Look at its name; for a private one log in with `hf auth login`"
        raise UserError(f"{address} {why}.") from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{address}: the repository has no such revision (branch, tag or commit).") from error
    except errors.LocalEntryNotFoundError as error:
        raise UserError(
            f"{address} is not, or not whole, in the cache of huggingface_hub, and its hub cannot be reached (no "
            "network, or HF_HUB_OFFLINE is set). Load it once with a network, or name a folder that holds it."
        ) from error
    except Exception as error:  # its HTTP library has its own, another one in other versions
        raise UserError(f"{address} could not be fetched: {hub_reason(error)}.") from error


def hub_reason(error: Exception) -> str:
    """What a hub or the way to it said, in one line."""
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
