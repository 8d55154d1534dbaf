"""What counts as a clear answer to bad input."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from lightning_nsd.cli import main

LONGEST = 1500
"""Characters of a message: what was wrong, where, what to do."""
PYTHON_TALK = re.compile(r"Traceback|weights_only|callable class|<class '|object at 0x|Errno|Unpickl|Namespace\(")


class Answer(NamedTuple):
    """How a command ended: its exit status, and all that it said."""

    status: int
    said: str

    @property
    def message(self) -> str:
        """What follows `error:`; empty where nothing does."""
        return self.said.partition("error:")[2].strip()


def ask(capsys: pytest.CaptureFixture[str], arguments: Sequence[object]) -> Answer:
    """Run a command in this process, whatever it raises going through to the test."""
    capsys.readouterr()
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    said = capsys.readouterr()
    return Answer(status, said.out + said.err)


def assert_refused(answer: Answer, *names: str) -> None:
    """Exit status 2, exactly one message, in a user's words, that names what was wrong."""
    assert answer.status == 2, answer.said
    assert answer.said.count("error:") == 1, answer.said
    assert answer.message, answer.said
    assert len(answer.message) <= LONGEST, answer.message
    assert not PYTHON_TALK.search(answer.said), answer.said
    for name in names:
        assert name in answer.message, answer.message
