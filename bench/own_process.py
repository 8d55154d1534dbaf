"""Calls in a process of their own: one that takes too long is ended, and its memory is its own."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


def within(limit: float, work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any] | None:
    """What a call gives in a process of its own, or how it failed; None where that takes longer than `limit` seconds.

    A compiler cannot be stopped in any other way, and what it leaves on a card goes with its process.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, work, *arguments), daemon=True)
    process.start()
    sender.close()  # ours: so that a process that dies, for want of memory, ends the wait
    try:
        return receiver.recv() if receiver.poll(limit) else None
    except EOFError:
        process.join()
        return {"error": f"the process ended with status {process.exitcode}"}
    finally:
        process.kill()
        process.join()


def _send(sender: Connection, work: Callable[..., dict[str, Any]], *arguments: Any) -> None:
    """In the other process."""
    try:
        sender.send(work(*arguments))
    except Exception as error:  # memory, or a compiler: the next combination may do
        sender.send({"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"})
