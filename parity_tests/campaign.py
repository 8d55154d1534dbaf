"""Cases that are too slow for every run."""

from collections.abc import Container, Iterable
from typing import Any

import pytest


def in_campaign(names: Iterable[str], slow: Container[str]) -> list[Any]:
    """Names as a test's parameters, of which the slow ones run in `make campaign` alone."""
    return [pytest.param(name, marks=[pytest.mark.campaign] if name in slow else []) for name in names]
