"""A fixture for other people's tests: `pytest_plugins = ["parity_tests.plugin"]`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parity_tests.pairing import Pairing
from parity_tests.pairing.report import PairReport


class ReportedPairing(Pairing):
    """Leaves a page of every report that did not pass."""

    folder = Path("parity_reports")
    name = "pairing"

    def check(self, *arguments: Any, **named: Any) -> PairReport:
        report = super().check(*arguments, **named)
        if not report.passed:
            self.folder.mkdir(exist_ok=True)
            report.html(self.folder / f"{self.name}.html")
        return report


@pytest.fixture
def pairing(request: pytest.FixtureRequest) -> Callable[..., Pairing]:
    """Makes a `Pairing`; a report that fails is written to `parity_reports/<test>.html`."""

    def make(*arguments: Any, **named: Any) -> Pairing:
        made = ReportedPairing(*arguments, **named)
        made.name = "".join(c if c.isalnum() or c in "-_" else "_" for c in request.node.name)
        return made

    return make
