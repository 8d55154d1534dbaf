"""Hostile commands in this process, in a folder of their own."""

from collections.abc import Callable

import pytest

from tests.cli.conftest import _elsewhere  # noqa: F401 (an autouse fixture)
from tests.hostile.answer import Answer, ask


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs a command and gives its answer."""
    return lambda *arguments: ask(capsys, arguments)
