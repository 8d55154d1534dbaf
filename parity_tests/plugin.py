"""A fixture for other people's tests: `pytest_plugins = ["parity_tests.plugin"]`."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from parity_tests.pairing import Pairing
from parity_tests.pairing.report import PairReport
from parity_tests.tolerances import LowPrecision


class ReportedPairing(Pairing):
    """Leaves a page of every report that did not pass."""

    folder = Path("parity_reports")
    name = "pairing"

    def check(self, *arguments: Any, **named: Any) -> PairReport:
        return self._left(super().check(*arguments, **named), self.name)

    def check_in(self, precision: LowPrecision) -> PairReport:
        return self._left(super().check_in(precision), f"{self.name}_{precision}")

    def _left(self, report: PairReport, name: str) -> PairReport:
        if not report.passed:
            self.folder.mkdir(exist_ok=True)
            report.html(self.folder / f"{name}.html")
        return report


@pytest.fixture
def pairing(request: pytest.FixtureRequest) -> Callable[..., Pairing]:
    """Makes a `Pairing`; one that fails leaves `parity_reports/<test>.html`, a second `…_2.html`."""
    test = "".join(c if c.isalnum() or c in "-_" else "_" for c in request.node.name)
    numbers = count(1)

    def make(*arguments: Any, **named: Any) -> Pairing:
        made = ReportedPairing(*arguments, **named)
        number = next(numbers)
        made.name = test if number == 1 else f"{test}_{number}"
        return made

    return make
