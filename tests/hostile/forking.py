"""Commands in processes of their own that share one start: the program is imported once, and forked for each.

`python -m tests.hostile.forking` reads a list of requests from its input and writes the endings to its output.
"""

import io
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60.0


@dataclass(frozen=True)
class Request:
    """A command and what befalls it.

    Attributes:
        arguments: its command line.
        folder: where it runs.
        stdout: `read`; `gone`, a pipe that nobody reads; or a device.
        encoding: of standard output and error.
        number: of a signal that it gets as soon as it has begun.
        begun: what it has written by then.
        slow: whether every file waits for ever where it is to be flushed to the disk, saying `flushing`.
        largest: bytes that a file may have, as where a disk is full.
        environment: variables that it sees instead; empty ones it does not see.
    """

    arguments: Sequence[str]
    folder: str
    stdout: str = "read"
    encoding: str = "utf-8"
    number: int = 0
    begun: str = ""
    slow: bool = False
    largest: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Ending:
    """How a command ended: its exit status, negative for a signal that killed it, and all that it said."""

    status: int
    said: str = field(default="")


def endings(requests: Sequence[Request]) -> list[Ending]:
    """Run all in one process and its forks."""
    environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.forking"], input=json.dumps([asdict(request) for request in requests]),
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [Ending(**ending) for ending in json.loads(done.stdout)]


def fork(request: Request) -> Ending | None:
    """The ending, in the parent; None in the child, which is to run the command."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _become(request, writer)
        return None
    os.close(writer)
    said, deadline, sent = b"", time.monotonic() + PATIENCE, not request.number
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            os.kill(child, signal.SIGKILL)
            deadline += PATIENCE
            continue
        part = os.read(reader, 65536)
        if not part:
            break
        said += part
        if not sent and request.begun.encode() in said:
            sent = True
            os.kill(child, request.number)
    os.close(reader)
    return Ending(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.decode(errors="replace"))


def _become(request: Request, writer: int) -> None:
    os.chdir(request.folder)
    os.dup2(writer, 2)
    if request.stdout == "gone":
        nobody, writer = os.pipe()
        os.close(nobody)
    os.dup2(writer if request.stdout in ("read", "gone") else os.open(request.stdout, os.O_WRONLY), 1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=request.encoding, errors="strict")
    sys.argv = ["lightning_nsd", *request.arguments]
    os.environ.update(request.environment)
    for name in (name for name, value in request.environment.items() if not value):
        del os.environ[name]
    if request.slow:
        os.fsync = _never
    if request.largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.largest, request.largest))


def _never(file: Any) -> None:
    os.write(2, b"flushing")
    for _ in range(int(PATIENCE)):
        time.sleep(1.0)  # a signal that comes just before a sleep is seen after it


def main() -> int:
    """Answer the requests; in each child, run its command as `python -m lightning_nsd` does."""
    import lightning_nsd.commands.convert
    import lightning_nsd.commands.evaluate
    import lightning_nsd.commands.sample  # noqa: F401
    from lightning_nsd.__main__ import main as command

    answers = []
    for values in json.load(sys.stdin):
        ending = fork(Request(**values))
        if ending is None:
            return command()
        answers.append(asdict(ending))
    json.dump(answers, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
