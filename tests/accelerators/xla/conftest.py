"""XLA's CPU device, where torch-xla is installed."""

import pytest

from lightning_nsd.accelerators.xla.device import is_installed

collect_ignore_glob = [] if is_installed() else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starting XLA and compiling takes its time."""
    for item in items:
        if "tests/accelerators/xla" in str(item.path):
            item.add_marker(pytest.mark.timeout(900))
