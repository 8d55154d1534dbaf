"""What all tests share: signatures are checked while they run, and some of them run in a campaign alone."""

import os
import re
import textwrap
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version

import pytest
from jaxtyping import install_import_hook

from tests import checked

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of processes that tests start: two threads wait for a busy core

install_import_hook(checked.MODULES, f"{checked.__name__}.checked")  # before anything is imported that is checked


LONGEST = (
    "tests/training/test_processes.py",
    "tests/hostile/test_settings.py",
    "tests/hostile/test_command_endings.py",
    "tests/notebooks/test_notebooks.py",
    "tests/cli/test_readme.py",
    "tests/demo/test_page.py",
    "tests/cli/test_configs.py",
    "tests/cli/test_run.py",
    "tests/callbacks/test_processes.py",
)
"""Files of minutes: they begin first, for a process that begins one last leaves the other without work."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much is tried."""
    parser.addoption(
        "--campaign",
        type=int,
        default=1,
        metavar="N",
        help="N times as many random hostile inputs, and above 1 what is too slow for every run (weekly)",
    )


def pytest_report_header() -> list[str]:
    """The versions of everything that pyproject.toml names and the environment has."""
    found = []
    for name in sorted({re.split(r"[^\w.-]", requirement)[0] for requirement in requires("lightning-nsd") or []}):
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return textwrap.wrap(", ".join(found), width=110, break_on_hyphens=False)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `campaign` in an ordinary run, and put the longest files first."""
    first = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path.relative_to(config.rootpath).as_posix(), len(LONGEST)))
    if config.getoption("--campaign") == 1 and (
        left_out := [item for item in items if item.get_closest_marker("campaign")]
    ):
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
