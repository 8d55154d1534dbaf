"""Where a user's cached files are kept."""

import os
from pathlib import Path


def user_cache() -> Path:
    """`lightning_nsd` in the user's cache folder. It may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "lightning_nsd"
