"""What is shown may fail: no figure, table or picture is worth a run."""

from types import TracebackType

from lightning.pytorch.utilities import rank_zero_warn

from lightning_nsd.messages import reason


class Shown:
    """A context in which an exception is one warning; it is said again only if it worked in between.

    Ctrl-C and the other ways to end a run pass through.

    Args:
        what: what cannot be shown then, the start of a sentence.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._failing = False

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            self._failing = False
        if not isinstance(error, Exception):
            return False
        if not self._failing:
            rank_zero_warn(f"{self.what} could not be written or shown ({reason(error)}); the run goes on.")
        self._failing = True
        return True
