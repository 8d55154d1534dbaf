"""What is measured on an accelerator, how long that may take, and what is known so far."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import write_text


class Deadline:
    """The end of a piece of work.

    Args:
        minutes: from now on.
    """

    def __init__(self, minutes: float) -> None:
        self._start, self.seconds = time.monotonic(), 60 * minutes

    def left(self, part: float = 1.0) -> float:
        """Seconds until the given part of all is gone; negative afterwards."""
        return self._start + part * self.seconds - time.monotonic()


class Plan(NamedTuple):
    """What is asked for.

    Attributes:
        device: that is measured.
        configs: names of shipped configs, or files.
        trained: those among them that are trained.
        root: of their data, where that is not what the config says.
        extractor: whose distances are computed.
        out: folder of the report and of the runs.
        deadline: of this piece.
    """

    device: torch.device
    configs: list[str]
    trained: list[str]
    root: str | None
    extractor: str
    out: Path
    deadline: Deadline


class Findings:
    """`report.json`: what earlier pieces found, written anew with everything that is added.

    Raises:
        UserError: there is a report, and it was not asked to go on with it; or a report of another device.
    """

    def __init__(self, out: Path, about: dict[str, Any], resume: bool) -> None:
        self.path = out / "report.json"
        self.found: dict[str, Any] = {"about": about, "parity": {}, "peak": {}, "steps": {}, "training": {}}
        if self.path.exists():
            if not resume:
                raise UserError(f"{self.path} is there already: give --resume to go on with it, or another --output.")
            self.found = json.loads(self.path.read_text(encoding="utf-8"))
            if (device := self.found["about"]["device"]) != about["device"]:
                raise UserError(f"{self.path} is of {device}, and this is {about['device']}: give another --output.")
        out.mkdir(parents=True, exist_ok=True)

    def add(self, kind: str, name: str, found: Any) -> None:
        """Keep one finding, on the disk at once."""
        self.found[kind][name] = found
        write_text(self.path, json.dumps(self.found, indent=1))
