"""The scripts of `bench/` import each other by name, as they do when they are run."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="package", autouse=True)
def bench_on_the_path():
    folder = str(Path(__file__).parent.parent.parent / "bench")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)
