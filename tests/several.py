"""A command in several processes, forked from one that has imported everything: torch takes longer than the run."""

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

import pytest
from lightning.fabric.utilities.rank_zero import rank_zero_only

from lightning_nsd.cli import main
from tests.cli.conftest import CACHE, ROOT

PRELOADED = ["lightning_nsd.commands.training", "lightning_nsd.cli", "tests.hostile.faults", "tests.callbacks.conftest"]


class Ended(NamedTuple):
    """How the processes ended: their exit statuses, None of one that had to be killed, and what each said."""

    statuses: list[int | None]
    said: list[str]
    seconds: float

    @property
    def all_said(self) -> str:
        return "\n".join(self.said)


def make_context() -> ForkServerContext:
    """The server from which all are forked is started here: it looks for modules where its environment says."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(ROOT))
        patched.setenv("XDG_CACHE_HOME", str(CACHE))
        forkserver.ensure_running()
    return context


def run_together(
    context: ForkServerContext, root: Path, arguments: Sequence[str], ranks: Sequence[int] = (0, 1), limit: float = 120
) -> Ended:
    """Run a command as processes that a launcher started on this machine."""
    with socket.socket() as found:
        found.bind(("", 0))
        port = found.getsockname()[1]
    made = [
        context.Process(target=_run, args=(rank, port, root / f"said-{rank}.txt", list(arguments))) for rank in ranks
    ]
    began = time.monotonic()
    for process in made:
        process.start()
    for process in made:
        process.join(max(0.0, began + limit - time.monotonic()))
    seconds = time.monotonic() - began
    statuses = [process.exitcode for process in made]
    for process in made:
        process.kill()
        process.join()
    return Ended(statuses, [(root / f"said-{rank}.txt").read_text() for rank in ranks], seconds)


def _run(rank: int, port: int, output: Path, arguments: list[str]) -> None:
    with output.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    rank_zero_only.rank = rank  # Lightning has been imported before there was a rank
    sys.argv = ["lightning_nsd", *arguments]
    sys.exit(main(arguments))
