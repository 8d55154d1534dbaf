"""Weights & Biases: a run of theirs for a run of ours, however often that was stopped."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from lightning_nsd.loggers.metrics_file import STEP, Row
from lightning_nsd.loggers.one_curve import OneCurve, last_steps
from lightning_nsd.loggers.wandb_record import files_of, mend, read_record

AXIS = "trainer/global_step"
"""The optimiser's step, over which every figure is drawn. Lightning has had this name, and is to have another."""
FLUSHED = "x_transaction_log_flush_interval"
"""W&B's setting of how often its file is written, if it has one; a killed process leaves what was written."""


class WandbCurve(OneCurve, WandbLogger):
    """Lightning's WandbLogger; takes the same arguments.

    Whoever is offline has a folder `wandb/offline-run-*` for every start of the run, with the same id; `wandb sync` of
    all of them makes one curve.
    """

    _next_row: int | None = None  # W&B's number of it, where W&B cannot know
    _has_axis = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        import wandb

        if FLUSHED in wandb.Settings.model_fields and not self._wandb_init.get("settings"):
            self._wandb_init["settings"] = {FLUSHED: 1.0}  # seconds

    @property
    def known_as(self) -> str | None:
        return self.version

    def take_up(self, run_id: str) -> None:
        if self._id is None:
            self._id = self._wandb_init["id"] = run_id
        if not any(self._wandb_init.get(name) for name in ("resume", "resume_from", "fork_from")):
            self._wandb_init["resume"] = "allow"  # from the command line it is None, and a run of this id begun anew

    def recorded(self, earlier: list[Row]) -> Mapping[str, int]:
        run = self.experiment
        if run.disabled:
            return {}
        if not run.offline:
            return at_the_server(run.summary, earlier) if run.resumed else {}
        own = Path(run.dir).parent
        files = [file for file in files_of(own.parent, run.id) if file.parent != own]
        if not files:  # `wandb clean` removes what is uploaded
            return last_steps((row[STEP], row) for row in earlier)
        record = read_record(files)
        for file in files:
            mend(file)
        self._next_row = record.next_row
        run.summary.update(record.summary)  # each process says it anew
        return last_steps((row[AXIS], row) for row in record.rows if AXIS in row)

    def write(self, figures: Mapping[str, Any], step: int | None) -> None:
        if not self._has_axis:
            self.experiment.define_metric(AXIS)
            self.experiment.define_metric("*", step_metric=AXIS, step_sync=True)
            self._has_axis = True
        axis = {} if step is None else {AXIS: step}
        self.experiment.log({**figures, **axis}, step=self._next_row, commit=True)
        self._next_row = None  # W&B counts on


def at_the_server(summary: Mapping[str, Any], earlier: list[Row]) -> dict[str, int]:
    """The last step of every name, of what has reached W&B: all before some moment.

    Of the last step of all not everything may be there: a figure is, where it is the last value. A picture of it is
    logged again, and may be there twice.

    Args:
        summary: the last values at the server.
        earlier: all figures that were logged.
    """
    last = summary.get(AXIS)
    if last is None:
        return {}
    found = {name: int(last) - 1 for name in summary.keys()}  # noqa: SIM118 (W&B's is no mapping)
    for row in earlier:
        if row[STEP] == last:
            found |= {name: int(last) for name, value in row.items() if str(summary.get(name)) in _said(value)}
    return found


def _said(value: float) -> tuple[str, ...]:
    """How a number may come back: JSON has no NaN, and makes whole numbers of 1.0."""
    return (str(value), str(value).replace("nan", "NaN"), str(value).removesuffix(".0"), f"{value}.0")
