"""From a model's folder to a repository of a hub."""

from pathlib import Path

from lightning_nsd.checkpoints.hub_folder import FILES, PICTURES
from lightning_nsd.checkpoints.places import NEEDS_HUB, hub_reason
from lightning_nsd.errors import UserError

WHAT = (*FILES, f"{PICTURES}/*.png")
"""What of a folder is uploaded: what this package writes, and nothing that lies beside it."""


def upload(folder: Path, repo: str, private: bool) -> str:
    """Make a repository where there is none, and put a model's folder into it in one commit.

    The token is the one that huggingface_hub knows: of `hf auth login`, or of HF_TOKEN.

    Args:
        folder: of the model.
        repo: `owner/name`.
        private: whether a new repository is for its owner alone; one that is there stays what it is.

    Returns:
        Where it can be looked at.

    Raises:
        UserError: no library, no token, no network, or a hub that refuses.
    """
    try:
        from huggingface_hub import HfApi, errors, get_token
    except ImportError as error:
        raise UserError(NEEDS_HUB) from error
    if get_token() is None:
        raise UserError("push needs a token that may write: log in with `hf auth login`, or set HF_TOKEN.")
    api = HfApi(library_name="lightning_nsd")
    try:
        url = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo, folder_path=folder, allow_patterns=list(WHAT), commit_message="A model of lightning-nsd"
        )
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise UserError(
                f"The hub refuses to write to {repo}: the token is not valid, may only read, or is of somebody else. "
                "Log in with `hf auth login`, with a token that may write to it."
            ) from error
        raise UserError(f"{repo} could not be written: {hub_reason(error)}.") from error
    except errors.OfflineModeIsEnabled as error:
        raise UserError(f"{repo} could not be written: HF_HUB_OFFLINE is set, and pushing needs a network.") from error
    except Exception as error:  # its HTTP library has its own, another one in other versions
        raise UserError(f"{repo} could not be written: {hub_reason(error)}.") from error
    return str(url)
