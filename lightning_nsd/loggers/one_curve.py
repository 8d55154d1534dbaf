"""What every tracker of runs owes a run that goes on: one curve, each step of each figure once."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from lightning_nsd.errors import UserError
from lightning_nsd.loggers.metrics_file import STEP, Row, moment

MOST_QUESTIONS = 3
"""How often a record that cannot be reached is asked what it has; each time may take as long as a network's timeout."""


class OneCurve(Logger):
    """A logger whose record goes on when its run does.

    What a killed process logged last may not have reached the record, and what it logged after its last checkpoint is
    computed again, to the same bits. So a run that goes on gives the record, before its own first figures, what it
    lacks of those in the run's CSV, which had every line at once; and then only what is not there yet.

    Attributes:
        known_as: what the tracker knows the run by; None until it does.
    """

    _earlier: list[Row] | None = None  # figures of the run that goes on, until its record is made up
    _begins = True
    _questions = 0
    _last: Mapping[str, int] = {}

    @property
    @abstractmethod
    def known_as(self) -> str | None: ...

    @abstractmethod
    def take_up(self, run_id: str) -> None:
        """Go on with a run of this name, before the tracker is opened. One that is not there is begun anew."""

    @abstractmethod
    def recorded(self, earlier: list[Row]) -> Mapping[str, int]:
        """The last step of everything that the record has of the run.

        Args:
            earlier: all that earlier processes logged, of which the record has the beginning at least.
        """

    @abstractmethod
    def write(self, figures: Mapping[str, Any], step: int | None) -> None:
        """Log some figures, whatever was logged before."""

    def name_of(self, key: str) -> str:
        """What the tracker has a figure or picture under."""
        return key

    def go_on(self, run_id: str | None, earlier: list[Row]) -> None:
        """Go on with a run.

        Args:
            run_id: what the tracker knows it by; None for a tracker that the run had not, which is given all of it.
            earlier: the lines of the run's CSV, as earlier processes left it.
        """
        if run_id:
            self.take_up(run_id)
            self._begins = False
        self._earlier = [{key: number(cell) for key, cell in row.items()} for row in earlier]

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log what the record has not: figures, and whatever else a tracker takes under a name."""
        try:
            self._make_up(metrics, step)
        except Exception:
            if self._earlier is not None and step is not None:  # these are made up with the rest
                self._earlier.append({STEP: step, **metrics})
            raise
        figures = self._new(metrics, step)
        if figures:
            self.write(figures, step)

    def is_new(self, key: str, step: int | None) -> bool:
        """Whether the record has nothing under a name for a step, so that a picture or a table is logged."""
        self._make_up({key: None}, step)
        return bool(self._new({key: None}, step))

    def _new(self, metrics: Mapping[str, Any], step: int | None) -> dict[str, Any]:
        return {
            key: value for key, value in metrics.items() if step is None or step > self._last.get(self.name_of(key), -1)
        }

    def _make_up(self, coming: Mapping[str, Any], step: int | None) -> None:
        """Before the first figures of a run that goes on: give the record what it lacks of those before them."""
        if self._earlier is None or step is None:
            return
        rows = self._earlier
        if not self._begins and self._questions < MOST_QUESTIONS:
            self._questions += 1
            self._last = self.recorded(rows)
        self._earlier = None
        for row in rows:
            if moment(row) < moment({STEP: step, **coming}):
                at = row.pop(STEP)
                if figures := self._new(row, at):
                    self.write(figures, at)


@contextmanager
def needs(name: str, extra: str) -> Iterator[None]:
    """Where a tracker's library is opened.

    Raises:
        UserError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(f"trainer.logger: {name} is not installed: pip install 'lightning-nsd[{extra}]'.") from error


def numbered(key: str, images: Sequence[Image.Image]) -> Iterator[tuple[str, Image.Image]]:
    """Pictures with their names: of several, the second is `<key>/1`."""
    for number, image in enumerate(images):
        yield f"{key}/{number}" if number else key, image


def last_steps(records: Iterable[tuple[int, Iterable[str]]]) -> dict[str, int]:
    """The last step of every name.

    Args:
        records: steps, and the names that were logged for each, in the order of logging.
    """
    return {name: step for step, names in records for name in names}


def number(cell: str | int) -> float:
    """What a cell of a CSV of figures says."""
    return int(cell) if isinstance(cell, int) or cell.isdecimal() else float(cell)
