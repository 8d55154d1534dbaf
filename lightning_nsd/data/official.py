"""Where data sets come from, by torchvision: addresses, checksums, and how they are fetched."""

from typing import Any


def official(name: str) -> tuple[Any, Any]:
    """A class of torchvision.datasets, and torchvision's functions for archives.

    Imported at the call: data that is there already needs no torchvision, which has to be built for the very torch that
    runs.
    """
    import torchvision

    return getattr(torchvision.datasets, name), torchvision.datasets.utils
