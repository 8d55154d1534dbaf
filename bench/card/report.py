"""`report.html`: one page without links, readable with whatever has been found so far."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from card.plan import Findings, Plan
from card.steps import combinations
from card.training import losses, run_of
from lightning_nsd.evaluation.files import CHART_FILE
from lightning_nsd.files.whole_file import write_text
from lightning_nsd.runs.folder import DISTANCE_FOLDER

STYLE = """body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0;display:block;overflow-x:auto}
td,th{border-bottom:1px solid #ddd;padding:.25em .8em;text-align:right}
td:first-child,th:first-child{text-align:left}img{max-width:100%}.bad{color:#b00}"""


def write_report(plan: Plan, findings: Findings) -> Path:
    """Write the page; gives its path."""
    found = findings.found
    about = " · ".join(f"{key} {value}" for key, value in found["about"].items())
    parts = [f"<h1>lightning_nsd on {html.escape(found['about']['device'])}</h1><p>{html.escape(about)}</p>"]
    parts += ["<h2>float32, beside the CPU</h2>", parity_table(found["parity"])]
    parts += ["<h2>A training step</h2>", peak_line(found["peak"]), steps_table(found["steps"])]
    if missing := [name for each in combinations(plan) if (name := ", ".join(each)) not in found["steps"]]:
        parts.append(f"<p>Not measured yet, --resume goes on: {html.escape('; '.join(missing))}.</p>")
    for config in plan.trained:
        parts += run_part(config, run_of(plan, config), found["training"].get(config, {}))
    head = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    page = f"{head}<title>lightning_nsd</title><style>{STYLE}</style>"
    path = plan.out / "report.html"
    write_text(path, page + "\n".join(parts))
    return path


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of text, escaped."""
    if not rows:
        return "<p>Nothing yet.</p>"
    lines = [f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    return f"<table><tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr>{''.join(lines)}</table>"


def parity_table(parity: dict[str, Any]) -> str:
    """A line for each config and rung."""
    rows = [
        [config, rung, f"{one['error']:.1e}", f"{one['tolerance']:.0e}", "pass" if one["passed"] else "FAIL", one["of"]]
        for config, rungs in parity.items()
        for rung, one in rungs.items()
    ]
    return table(["config", "rung", "worst relative error", "tolerance", "", "of"], rows)


def peak_line(peak: dict[str, float]) -> str:
    """What a large matrix product reaches."""
    said = ", ".join(f"{precision} {value / 1e12:.3g} TFLOP/s" for precision, value in peak.items())
    return f"<p>Matrix product: {said or 'nothing yet'}.</p>"


def steps_table(steps: dict[str, Any]) -> str:
    """A line for each combination."""
    rows = []
    for name, one in steps.items():
        if "error" in one:
            rows.append([name, "", one["error"], "", "", ""])
            continue
        memory = "" if one["memory_mib"] is None else f"{one['memory_mib']:,.0f}"
        figures = [f"{one['seconds']:.4g}", f"{one['episodes'] / one['seconds']:.3g}", f"{one['fraction_of_peak']:.2f}"]
        rows.append([name, str(one["episodes"]), *figures, memory])
    return table(["step", "episodes", "seconds", "episodes / s", "fraction of peak", "memory, MiB"], rows)


def run_part(config: str, run: Path, training: dict[str, Any]) -> list[str]:
    """Losses, pictures and distances of one run."""
    state = "ended" if training.get("ended") else "goes on with --resume"
    parts = [f"<h2>{html.escape(config)}</h2><p>{training.get('steps', 0):,} steps; {state}.</p>"]
    for key in ("error", "picture_error"):
        if key in training:
            parts.append(f"<p class=bad>{html.escape(training[key])}</p>")
    if losses(run, "train/loss")[0]:
        parts.append(image(loss_curve(run), "loss"))
    if (run / "test.png").exists():
        parts.append("<p>Classes that training never saw: examples on the left, drawn on the right.</p>")
        parts.append(image((run / "test.png").read_bytes(), "test classes"))
    charts = sorted(run.glob(f"{DISTANCE_FOLDER}/*/{CHART_FILE}"))
    if charts:
        parts.append(f"<p>Distances of the test classes, {training.get('images_of_a_class', '')} images each.</p>")
        parts.append(image(charts[-1].read_bytes(), "distances"))
    elif "distances" in training:
        parts.append(f"<p class=bad>Distances: {html.escape(training['distances'])}</p>")
    return parts


def loss_curve(run: Path) -> bytes:
    """A PNG of both losses."""
    figure = Figure(figsize=(8, 3), dpi=110, layout="constrained")
    axes = figure.subplots()
    for column, marker in (("train/loss", ".-"), ("val/loss", "o-")):
        steps, values = losses(run, column)
        if steps:
            axes.plot(steps, values, marker, label=column, lw=1, ms=4)
    axes.set_yscale("log")
    axes.set_xlabel("optimiser step")
    axes.legend()
    axes.grid(alpha=0.3)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def image(png: bytes, alt: str) -> str:
    """A picture inside of the page."""
    return f"<p><img alt='{alt}' src='data:image/png;base64,{base64.b64encode(png).decode()}'></p>"
