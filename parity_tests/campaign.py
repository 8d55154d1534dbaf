"""Cases that are too slow for every run."""

from collections.abc import Container, Iterable
from typing import Any

import pytest


def in_campaign(cases: Iterable[Any], slow: Container[Any]) -> list[Any]:
    """Cases as a test's parameters, of which the slow ones run in `make campaign` alone."""
    return [pytest.param(case, marks=[pytest.mark.campaign] if case in slow else []) for case in cases]
