"""How one of several processes ends: one of them says why, and none keeps the others waiting for long.

Nothing here is done together: a process that fails cannot know where the others are.
"""

import atexit
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed

from lightning_nsd.errors import UserError
from lightning_nsd.processes.stopping import StoppedError

FIRST_PROCESS = "LIGHTNING_NSD_FIRST_PROCESS"
"""Environment variable with the id of the process that started the others of its machine."""
GRACE = 60.0
"""Seconds in which the first process may finish what it writes after another has ended, and the other way round."""
HOW_TO_GO_ON = "Its last checkpoint is whole: the same command with --ckpt_path last goes on from there."
FAILED = "lightning_nsd/failed"
"""How many processes have failed, in the store that they share."""


@contextmanager
def ends_as_one() -> Iterator[None]:
    """Around a command that may run in several processes: what makes several of them fail is said by one.

    Raises:
        SystemExit: with the same status, where another process says why.
    """
    if "LOCAL_RANK" not in os.environ:
        os.environ[FIRST_PROCESS] = str(os.getpid())
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # warnings of lost connections, with C++ frames
    elif os.environ.get(FIRST_PROCESS) == str(os.getppid()):
        atexit.register(_outlive, os.getppid())
        threading.Thread(target=_end_after, args=(os.getppid(),), daemon=True).start()
    try:
        yield
    except StoppedError as stop:
        if _is_one_of_several() and distributed.get_rank() > 0:
            raise SystemExit(128 + stop.number) from stop
        raise
    except Exception as error:
        is_lost = _is_lost(error)
        if not _is_one_of_several():
            if is_lost:
                raise UserError(f"Not all processes of the run have come, or found each other: {error}") from error
            raise
        is_first = _fails_first()
        if is_first and not is_lost:
            raise
        if is_first:
            raise UserError(f"{_who()} ends: another was killed or does not answer. {HOW_TO_GO_ON}") from error
        if is_first is None and is_lost:
            print(f"{_who()} ends, as the first has ended.", file=sys.stderr)
        raise SystemExit(2) from error


def _is_one_of_several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _who() -> str:
    return f"Process {distributed.get_rank()} of {distributed.get_world_size()}"


def _fails_first() -> bool | None:
    """Whether no other process has failed yet; None if that cannot be known, as the first process is gone."""
    try:
        return bool(distributed.distributed_c10d._get_default_store().add(FAILED, 1) == 1)
    except RuntimeError:
        return None


def _is_lost(error: BaseException | None) -> bool:
    """Whether the exception, or what it was raised from, says that another process does not answer."""
    while error is not None:
        if isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _outlive(first: int) -> None:
    """Wait for the end of the process that started this one: it is killed as soon as this one has failed."""
    sys.stdout.flush()
    sys.stderr.flush()
    deadline = time.monotonic() + GRACE
    while os.getppid() == first and time.monotonic() < deadline:
        time.sleep(0.05)


def _end_after(first: int) -> None:
    """End this process, wherever it waits, some time after the one that started it."""
    while os.getppid() == first:
        time.sleep(1.0)
    time.sleep(GRACE)
    os._exit(1)
