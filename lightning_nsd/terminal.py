"""The terminal: text that is not ours is never markup, and neither its alphabet nor its end is an error."""

import io
import os
import select
import sys
from typing import TextIO

from rich.console import Console

from lightning_nsd.errors import UserError


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave to the command what a reader that has gone means; rich itself would end the process."""
        raise


def console() -> Console:
    """The one console that everything is printed by: `[red]` in a path is a part of the path."""
    return _Console(soft_wrap=True, markup=False, emoji=False, highlight=False)


def prepare_streams() -> None:
    """Let standard output and error take any character: one that their encoding lacks is written as its number.

    Raises:
        UserError: standard output is a file or device that takes nothing.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    number = _descriptor(sys.stdout)
    if number is not None:
        try:
            os.write(number, b"")
        except OSError as error:
            raise UserError(f"The standard output cannot be written: {error.strerror}.") from error


def reader_is_gone() -> bool:
    """Whether nobody reads standard output or error any more, as after `| head`."""
    watch = select.poll()
    for number in filter(None, map(_descriptor, (sys.stdout, sys.stderr))):
        watch.register(number, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in watch.poll(0))


def drop_output() -> None:
    """Send what is still to be written to nowhere, so that the interpreter does not fail to write it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in filter(None, map(_descriptor, (sys.stdout, sys.stderr))):
        os.dup2(nowhere, number)
    os.close(nowhere)


def _descriptor(stream: TextIO | None) -> int | None:
    """The stream's own descriptor; None where there is none, as in a notebook or a test."""
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):
        return None
