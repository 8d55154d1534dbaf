"""Exact arithmetic for every test, before anything is computed."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_nsd.xla.device import find_devices
from parity_tests import backends

backends.exact()
backends.compile_quickly(Path(__file__).parent.parent / ".pytest_cache" / "jax")


collect_ignore = [] if importlib.util.find_spec("transformers") else ["examples"]  # see `make parity-examples`


def pytest_sessionstart() -> None:
    """Before the first backward pass of the process."""
    if backends.has_xla():
        find_devices()


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled() -> Iterator[None]:
    yield
    backends.forget_compiled()


@pytest.fixture
def xla() -> str:
    """The backend torch-xla, or a skipped test."""
    if not backends.has_xla():
        pytest.skip(backends.XLA_MISSING)
    return "xla"
