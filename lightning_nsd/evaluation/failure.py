"""What went wrong in an evaluation: logged and counted, or raised by every process alike."""

import logging
from collections.abc import Iterable

log = logging.getLogger("lightning_nsd")


class EvaluationError(RuntimeError):
    """Something failed in an evaluation that is strict."""


class Failures:
    """Catches on one process and raises, if at all, on all of them, so that none waits for another in vain.

    Args:
        strict: whether `raise_together` raises.
    """

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self._last: Exception | None = None

    def note(self, error: Exception, what: str) -> str:
        """Log the traceback of an exception that is being handled; gives its kind and message."""
        if not self.strict:
            log.error("%s", what, exc_info=error)
        self._last = error
        return f"{type(error).__name__}: {error}"

    def raise_together(self, messages: Iterable[str]) -> None:
        """Called by every process with the messages of all, empty where nothing failed.

        Raises:
            EvaluationError: strict, and something failed anywhere.
        """
        found = [message for message in messages if message]
        if self.strict and found:
            raise EvaluationError(found[0]) from self._last
