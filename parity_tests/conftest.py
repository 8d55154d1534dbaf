"""Exact arithmetic for every test, before anything is computed."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # tiny arrays: compiling is what takes time

import pytest

from parity_tests import backends

backends.exact()


@pytest.fixture
def xla() -> str:
    """The backend torch-xla, or a skipped test."""
    if not backends.has_xla():
        pytest.skip(backends.XLA_MISSING)
    return "xla"
