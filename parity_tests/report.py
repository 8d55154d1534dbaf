"""The ladder's outcome as a table, as JSON, and as one HTML page."""

import base64
import html
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from rich.table import Table

from lightning_nsd.files.whole_file import write_text
from parity_tests.check import Check
from parity_tests.tolerances import DTYPES

COLUMNS = ("rung", "what", "worst error", "tolerance", "verdict", "worst of")
BY_DEPTH = ("model", "module", "loss", "metric")  # rungs whose errors are in forward order
MAX_LABELS = 40


@dataclass(frozen=True)
class Report:
    """What was checked, and how it went.

    Attributes:
        about: the config, the sizes and the versions.
        checks: in the ladder's order.
        title: of the page.
    """

    about: dict[str, Any]
    checks: Sequence[Check]
    title: str = "lightning_nsd against jax_reference"

    @property
    def passed(self) -> bool:
        """Whether there were checks and all passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def first_module(self) -> str | None:
        """The first module, in forward order, whose output leaves its tolerance; of whole networks, if there are."""
        failures = [check.first_failure for rung in ("model", "module") for check in self.checks if check.rung == rung]
        return next((name.partition(" (")[0] for name in failures if name), None)


def rows(report: Report) -> list[tuple[str, ...]]:
    """A line of text for every check."""
    return [
        (
            check.rung if check.number is None else f"{check.number} {check.rung}",
            check.what,
            f"{check.worst.error:.1e}",
            "reported" if math.isinf(check.tolerance) else f"{check.tolerance:.0e}",
            "pass" if check.passed else "FAIL",
            check.worst.name,
        )
        for check in report.checks
    ]


def conclusion(report: Report) -> str:
    """One sentence: all well, or where to look first."""
    if report.passed:
        return f"All {len(report.checks)} checks passed."
    failed = [check for check in report.checks if not check.passed]
    where = (
        f" The first module whose output leaves its tolerance: {report.first_module}." if report.first_module else ""
    )
    worst = next((check.worst.name for check in failed if check.what.startswith("gradients")), None)
    gradient = f" The worst gradient is that of {worst}." if worst else ""
    return f"{len(failed)} of {len(report.checks)} checks failed.{where}{gradient}"


def table(report: Report) -> Table:
    """The lines as a table for the terminal."""
    shown = Table(title=str(report.about.get("config", "")))
    for column in COLUMNS:
        shown.add_column(column, overflow="fold")
    for row in rows(report):
        shown.add_row(*row, style=None if row[4] == "pass" else "red")
    return shown


def write_json(report: Report, path: Path) -> None:
    """Everything, every array's error included; an infinite error is written as the text `inf`."""

    def number(value: float) -> float | str:
        return value if math.isfinite(value) else "inf"

    content = {
        **report.about,
        "passed": report.passed,
        "first_module": report.first_module,
        "checks": [
            {
                "rung": check.number,
                "name": check.rung,
                "what": check.what,
                "dtype": check.dtype,
                "worst_error": number(check.worst.error),
                "worst": check.worst.name,
                "tolerance": number(check.tolerance),
                "passed": check.passed,
                "first_failure": check.first_failure,
                "errors": {name: number(error) for name, error in check.errors.items()},
            }
            for check in report.checks
        ],
    }
    write_text(path, json.dumps(content, indent=1, allow_nan=False))


def picture(check: Check) -> str:
    """Error against depth, as the data of a PNG in base64."""
    names = list(check.errors)
    drawn = [min(max(error, 1e-18), 1e3) for error in check.errors.values()]
    figure, axes = plt.subplots(figsize=(11, 4.5), layout="constrained")
    axes.semilogy(range(len(drawn)), drawn, ".-", linewidth=0.8)
    if math.isfinite(check.tolerance):
        axes.axhline(check.tolerance, color="tab:red", linestyle="--", label=f"tolerance {check.tolerance:.0e}")
        axes.legend()
    every = -(-len(names) // MAX_LABELS)
    axes.set_xticks(range(0, len(names), every), names[::every], rotation=90, fontsize=6)
    axes.set_ylabel("relative error" if check.dtype in DTYPES else "fraction of what is allowed")
    axes.set_title(check.what)
    axes.grid(alpha=0.3)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    plt.close(figure)
    return base64.b64encode(stream.getvalue()).decode()


def write_html(report: Report, path: Path) -> None:
    """One page that needs nothing besides itself."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)

    lines = "\n".join(f'<tr class="{row[4].lower()}">{cells(row, "td")}</tr>' for row in rows(report))
    about = "".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(str(v))}</dd>" for key, v in report.about.items())
    pictures = "\n".join(
        f'<img alt="{html.escape(check.what)}" src="data:image/png;base64,{picture(check)}">'
        for check in report.checks
        if check.rung in BY_DEPTH and len(check.errors) > 2
    )
    write_text(
        path,
        f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Parity</title><style>
body {{ font: 15px system-ui, sans-serif; margin: 2em auto; max-width: 1150px; color: #222; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ border-bottom: 1px solid #ddd; padding: .3em .6em; text-align: left; overflow-wrap: anywhere; }}
tr.fail td {{ background: #fdd; }}
dt {{ float: left; clear: left; width: 9em; color: #666; }}
img {{ max-width: 100%; margin-top: 1.5em; }}
</style></head><body>
<h1>{html.escape(report.title)}</h1>
<p><strong>{html.escape(conclusion(report))}</strong></p>
<dl>{about}</dl>
<table><thead><tr>{cells(COLUMNS, "th")}</tr></thead><tbody>
{lines}
</tbody></table>
<p>An array's error is max|a − b| / max|b|; in a low precision the root mean square of a − b, over what is allowed
there. Modules and parameters stand in forward order.</p>
{pictures}
</body></html>
""",
    )
