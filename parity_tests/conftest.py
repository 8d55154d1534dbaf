"""Exact arithmetic for every test, before anything is computed."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from lightning_nsd.accelerators.xla.device import find_devices
from parity_tests import backends

backends.exact()
backends.compile_once(Path(__file__).parent.parent / ".pytest_cache" / "jax")


def has_flax_models() -> bool:
    """Whether transformers is there in its fourth version, the last that has them: see `make parity-examples`."""
    try:
        return version("transformers").startswith("4.")
    except PackageNotFoundError:
        return False


collect_ignore = [] if has_flax_models() else ["examples"]


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


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """In commands too: two threads of one process beside another process are several times slower than one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "exact", lambda threads=1: None)
        yield
