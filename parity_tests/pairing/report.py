"""What a pairing found, in a table, in words, as JSON and as one HTML page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from parity_tests import report as ladder
from parity_tests.check import Check


@dataclass(frozen=True)
class Finding:
    """One check, and in words why modules differ or were not compared.

    Attributes:
        check: the comparison.
        words: by the name of the array.
    """

    check: Check
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PairReport:
    """Everything that was checked of a pair of networks.

    Attributes:
        name: of the torch network's class.
        dtype: of both.
        findings: in the order of the rungs.
        key_map: which parameter is which, as a table.
    """

    name: str
    dtype: str
    findings: tuple[Finding, ...]
    key_map: str

    @property
    def checks(self) -> list[Check]:
        """The comparisons alone."""
        return [finding.check for finding in self.findings]

    @property
    def passed(self) -> bool:
        """Whether there were checks and all passed."""
        return self._page.passed

    @property
    def first_module(self) -> str | None:
        """The first module in forward order that gives something else for the same inputs; else for its own inputs."""
        for rung in ("module", "model"):
            for check in self.checks:
                if check.rung == rung and check.first_failure:
                    return check.first_failure.partition(" (")[0]
        return None

    @property
    def explanation(self) -> str | None:
        """Why that module differs, where a simple relation says so."""
        first = self.first_module
        for finding in self.findings:
            for name, words in finding.words.items():
                if first is not None and name.partition(" (")[0] == first and not words.startswith("not run alone"):
                    return words
        return None

    def require(self) -> None:
        """Raise AssertionError unless everything passed; the message is `__str__`."""
        if not self.passed:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        lines = []
        for check in self.checks:
            verdict = "pass" if check.passed else "FAIL"
            lines.append(
                f"{verdict}  {check.rung:8} {check.what}: {check.worst.error:.1e} in {check.worst.name}, "
                f"tolerance {check.tolerance:.0e}"
            )
        if self.first_module:
            why = f": {self.explanation}" if self.explanation else ""
            lines.append(f"The first module that differs is {self.first_module}{why}.")
        return "\n".join(lines)

    @property
    def _page(self) -> ladder.Report:
        words = {name: text for finding in self.findings for name, text in finding.words.items()}
        about = {"network": self.name, "dtype": self.dtype, "first module": self.first_module, **words}
        return ladder.Report(about, self.checks, f"{self.name}, torch against JAX")

    def json(self, path: Path | str) -> None:
        """Write everything, every array's error included."""
        ladder.write_json(self._page, Path(path))

    def html(self, path: Path | str) -> None:
        """Write one page with the error against depth."""
        ladder.write_html(self._page, Path(path))
