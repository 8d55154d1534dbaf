"""Exact arithmetic for every test, before anything is computed."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import yaml

from jax_reference.config import FROM_DATA
from lightning_nsd.accelerators.xla.device import find_devices
from parity_tests import backends, cases

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


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A training that takes seconds."""
    model = {key: value for key, value in cases.SMALL_DIT.items() if key not in FROM_DATA}
    content = {
        "seed_everything": 3,
        "trainer": {"max_steps": 4, "log_every_n_steps": 1, "gradient_clip_val": 1.0},
        "data": {"class_path": "Glyphs", "init_args": {"image_size": 8, "n_shot": 2, "batch_size": 2}},
        "model": model,
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path
