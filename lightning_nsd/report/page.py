"""The page: a run, or two beside each other, as one HTML file that asks no network for anything."""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lightning_nsd import __version__
from lightning_nsd.report.charts import charts
from lightning_nsd.report.collect import Distances, Frame, Run
from lightning_nsd.report.tables import Table, joined, table_of
from lightning_nsd.report.trust import what_to_trust
from lightning_nsd.runs.history import END, START
from lightning_nsd.runs.without_folders import without_folders

HERE = Path(__file__).parent
UPLOT = HERE.parent / "assets" / "uplot"
LETTERS = ("A", "B")
PLACES = ("trainer.default_root_dir", "ckpt_path")
"""Settings that say where a run and its checkpoint are, and nothing of what it does."""


@dataclass
class Slider:
    """Pictures of which one is shown, of each run one row."""

    title: str
    rows: list[tuple[str, list[Frame]]]

    @property
    def length(self) -> int:
        """Positions, of the run that has the most."""
        return max(len(frames) for _, frames in self.rows)


@dataclass
class Evaluation:
    """The classes of a split: sentences, a table, and what it is called."""

    title: str
    trust: list[tuple[str, str]]  # of which runs, and what
    table: Table


def page(runs: Sequence[Run]) -> str:
    """The HTML of one run, or of two beside each other."""
    runs = [_shown(run) for run in runs]
    sliders = list(_sliders(runs))
    frames = {str(k): [[[f.label, f.picture] for f in of] for _, of in s.rows] for k, s in enumerate(sliders)}
    scripts = [
        (UPLOT / "uPlot.iife.min.js").read_text(encoding="utf-8"),
        (HERE / "page.js").read_text(encoding="utf-8"),
    ]
    style = (UPLOT / "uPlot.min.css").read_text(encoding="utf-8") + (HERE / "page.css").read_text(encoding="utf-8")
    made = _environment().get_template("page.html").render(
        title=" and ".join(run.name for run in runs),
        version=__version__,
        policy=policy(scripts, style),
        scripts=scripts,
        style=style,
        data=_for_script({"curves": charts(runs), "sliders": frames}),
        runs=[(letter, run, _account(run)) for letter, run in zip(LETTERS, runs, strict=False)],
        is_pair=len(runs) > 1,
        settings=_settings(runs),
        sliders=sliders,
        evaluations=list(_evaluations(runs)),
        has_curves=any(run.curves for run in runs),
    )  # fmt: skip
    return made.encode("utf-8", errors="replace").decode()  # halves of characters from a damaged file


def policy(scripts: Sequence[str], style: str) -> str:
    """A Content-Security-Policy by which these scripts run and no other, and nothing is fetched from anywhere."""
    allowed = " ".join(_hash(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["value"] = _value
    return environment


def _for_script(content: Any) -> str:
    """JSON that no HTML parser takes for the end of the script that it stands in."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _value(value: Any) -> str:
    """A setting as it stands in a configuration, on one line."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6).strip().removesuffix("\n...")


def _shown(run: Run) -> Run:
    """The run without the folders of the machine that it is on."""
    run.config = without_folders(run.config)
    run.history = without_folders(run.history)
    run.notes = without_folders(run.notes)
    for found in run.distances:
        found.classes = [{**row, "reason": without_folders(row.get("reason", ""))} for row in found.classes]
    return run


# ---- what was run ----


@dataclass
class Account:
    """What a run's history says, ready to be read.

    Attributes:
        facts: name and text.
        events: when, what and after how many steps, oldest first.
        command: words of the last start's; none where they are not known.
    """

    facts: list[tuple[str, str]]
    events: list[tuple[str, str, str]]
    command: list[str]


def _account(run: Run) -> Account:
    starts = [event for event in run.history if event["event"] == START]
    last: dict[str, Any] = starts[-1] if starts else {}
    facts = []
    for name in ("versions", "machine", "seeds"):
        content = last.get(name)
        if isinstance(content, dict):
            facts.append((name, " · ".join(f"{key} {value}" for key, value in content.items())))
    if starts:
        again = [f"{event['step']:,}" for number, event in enumerate(starts) if number or event["step"]]
        often = "once" if len(again) == 1 else f"{len(again)} times"
        facts.append(("resumed", f"{often}, at step {', '.join(again)}" if again else "never"))
    if run.history:
        end = run.history[-1]
        how = (
            f"{end.get('how', 'ended')} after {end['step']:,} steps"
            if end["event"] == END
            else "no end is noted: killed, or still running"
        )
        facts.append(("end", how))
    if took := _seconds(run.history):
        facts.append(("time", took))
    return Account(facts, list(_events(run.history)), _command(last))


def _events(history: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    started = False
    for event in history:
        if event["event"] == START:
            what = f"{'continued' if started else 'started'}: {' '.join(_command(event))}"
            started = True
        else:
            what = str(event.get("how", "ended"))
        yield str(event.get("when", "")).replace("T", " ").replace("Z", " UTC"), what, f"{event['step']:,}"


def _command(event: dict[str, Any]) -> list[str]:
    words = event.get("command")
    shown = [str(word) for word in words] if isinstance(words, list) else []
    quoted = [f"'{word}'" if any(letter in word for letter in ' *?$"') else word for word in shown]
    return ["python", "-m", "lightning_nsd", *quoted] if shown else []


def _seconds(history: Sequence[dict[str, Any]]) -> str:
    """How long `fit` ran, starts without an end left out; empty where nothing is known."""
    total, since = 0.0, None
    for event in history:
        try:
            when = datetime.fromisoformat(str(event.get("when")))
        except ValueError:
            continue
        if when.tzinfo is None:
            continue  # not ours, and not to be set against those of a known zone
        if event["event"] == START:
            since = when
        elif since is not None:
            total, since = total + (when - since).total_seconds(), None
    minutes, seconds = divmod(round(total), 60)
    hours, minutes = divmod(minutes, 60)
    return " ".join(f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if n)


# ---- settings ----


@dataclass
class Settings:
    """Rows of settings under headings."""

    said: str
    headings: list[str]
    rows: list[list[str]]


def _settings(runs: Sequence[Run]) -> Settings:
    if len(runs) > 1:
        first, second = (run.config for run in runs)
        names = [name for name in dict.fromkeys([*first, *second]) if first.get(name) != second.get(name)]
        rows = [[name, _or_none(first, name), _or_none(second, name)] for name in names if name not in PLACES]
        return Settings("What differs between the two runs' settings.", ["setting", "A", "B"], rows)
    (run,) = runs
    starts = [event for event in run.history if event["event"] == START and isinstance(event.get("settings"), list)]
    if starts:
        changed = [row for row in starts[-1]["settings"] if isinstance(row, list) and len(row) == 4]
        rows = [[str(row[0]), _value(row[1]), _value(row[2]), str(row[3])] for row in changed if row[0] not in PLACES]
        return Settings("What differs from the classes' defaults.", ["setting", "default", "this run", "said by"], rows)
    rows = [[name, _value(value)] for name, value in run.config.items()]
    return Settings("Every setting; which of them are defaults is not known.", ["setting", "this run"], rows)


def _or_none(config: dict[str, Any], name: str) -> str:
    return _value(config[name]) if name in config else "—"


# ---- pictures and classes ----


def _sliders(runs: Sequence[Run]) -> Iterator[Slider]:
    for split in dict.fromkeys(split for run in runs for split in run.pictures):
        rows = [(run.name, run.pictures[split]) for run in runs if split in run.pictures]
        yield Slider(f"Samples, {split} classes", rows)
    rows = [(f"{run.name}: {run.chain_of}", run.chain) for run in runs if run.chain]
    if rows:
        yield Slider("One chain, from noise", rows)


def _evaluations(runs: Sequence[Run]) -> Iterator[Evaluation]:
    if len(runs) > 1:
        first, second = ({(found.split, found.distance): found for found in run.distances} for run in runs)
        for key, found in first.items():
            if other := second.get(key):
                said: dict[str, str] = {}
                for letter, of in zip(LETTERS, (found, other), strict=True):
                    for sentence in what_to_trust(of):
                        said[sentence] = said.get(sentence, "") + letter
                yield Evaluation(_title(found, other), [(of, what) for what, of in said.items()], joined(found, other))
        return
    for found in runs[0].distances:
        yield Evaluation(_title(found), [("", sentence) for sentence in what_to_trust(found)], table_of(found))


def _title(*found: Distances) -> str:
    steps = dict.fromkeys(f"{each.step:,}" for each in found if each.step is not None)
    step = f", step {' and '.join(steps)}" if steps else ""
    return f"{found[0].distance} of the {found[0].split} classes{step}"
