"""Hostile commands in this process, in a folder of their own."""

from collections.abc import Callable

import pytest

from tests.cli.conftest import _elsewhere  # noqa: F401 (an autouse fixture)
from tests.hostile.answer import Answer, ask


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs a command and gives its answer."""
    return lambda *arguments: ask(capsys, arguments)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--campaign", type=int, default=1, metavar="N", help="N times as many random hostile inputs (a weekly run)"
    )


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest) -> int:
    """By how much the number of random inputs is multiplied."""
    return int(request.config.getoption("--campaign", default=1))  # unknown where another folder was asked for
