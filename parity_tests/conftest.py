"""Exact arithmetic for every test, before anything is computed."""

from pathlib import Path

import pytest

from parity_tests import backends

backends.exact()
backends.compile_quickly(Path(__file__).parent.parent / ".pytest_cache" / "jax")


@pytest.fixture
def xla() -> str:
    """The backend torch-xla, or a skipped test."""
    if not backends.has_xla():
        pytest.skip(backends.XLA_MISSING)
    return "xla"
