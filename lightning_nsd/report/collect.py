"""What a run's folder holds, as far as it can be read. Nothing in the folder is changed, and nothing of it is run."""

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.files import JSON_FILE
from lightning_nsd.evaluation.strips import MOST_CLASSES, strip_path
from lightning_nsd.loggers.metrics_file import FIRST_COLUMNS, STEP
from lightning_nsd.messages import reason
from lightning_nsd.report.pictures import PictureError, data_uri, evenly, read_picture
from lightning_nsd.runs.branch import CHECKPOINT_FOLDER, LAST
from lightning_nsd.runs.folder import CHAIN_FOLDER, CONFIG_FILE, DISTANCE_FOLDER, LOG_FOLDER, PICTURE_FOLDER
from lightning_nsd.runs.history import read_history
from lightning_nsd.settings.changed import flat
from lightning_nsd.settings.config_files import read_config

METRICS_FILE = "metrics.csv"
MOST_BYTES = 100_000_000
MOST_FRAMES = 30
"""Moments of a slider, at most."""
MOST_POINTS = 2000
"""Of a curve, at most."""
MOST_FIGURES = 3000
_PICTURE = re.compile(r"(?P<split>[a-z]+)_step=(?P<step>\d+)\.png")

Curve = list[tuple[int, float]]


@dataclass
class Frame:
    """One position of a slider: what is said of it, and the picture as the address of itself."""

    label: str
    picture: str


@dataclass
class Distances:
    """One evaluation of the classes of a split.

    Attributes:
        content: of its JSON file; every key may be missing.
        classes: of these, each a mapping.
        strips: of each class its picture, or nothing.
        earlier: evaluations of the same split and distance that are not shown.
    """

    content: dict[str, Any]
    classes: list[dict[str, Any]]
    strips: list[str]
    earlier: int = 0

    @property
    def split(self) -> str:
        return str(self.content.get("split", ""))

    @property
    def distance(self) -> str:
        return str(self.content.get("distance", "distance"))

    @property
    def step(self) -> int | None:
        step = self.content.get("step")
        return step if isinstance(step, int) else None

    @property
    def is_complete(self) -> bool:
        return self.content.get("complete") is True

    @property
    def summary(self) -> dict[str, float]:
        """The finite numbers over all classes."""
        summary = self.content.get("summary")
        return {name: v for name, v in summary.items() if is_number(v)} if isinstance(summary, dict) else {}


@dataclass
class Run:
    """A run, as far as its folder tells.

    Attributes:
        name: of the folder.
        history: its starts and ends, oldest first.
        config: every setting, by its dotted name.
        curves: figures by name: values that are finite, by step.
        pictures: the slider of every split.
        chain: the slider of a chain from noise, and what it is of.
        distances: the newest evaluation of every split and distance.
        notes: what is missing, damaged or left out, a sentence each.
    """

    name: str
    history: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    pictures: dict[str, list[Frame]] = field(default_factory=dict)
    chain: list[Frame] = field(default_factory=list)
    chain_of: str = ""
    distances: list[Distances] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def collect(root: Path) -> Run:
    """Read a run's folder.

    Raises:
        UserError: there is no such folder, or nothing in it is a run's.
    """
    if not root.is_dir():
        raise UserError(f"There is no folder {root}. Name the folder of a run: that of its config.yaml.")
    parts = (CONFIG_FILE, LOG_FOLDER, PICTURE_FOLDER, DISTANCE_FOLDER, CHAIN_FOLDER, CHECKPOINT_FOLDER, LAST)
    if not any((root / part).exists() for part in parts):
        raise UserError(f"{root} is not the folder of a run: it holds none of {', '.join(parts)}.")
    run = Run(root.resolve().name)
    for what, read in (
        ("history", _read_history), ("configuration", _read_config), ("figures", _read_curves),
        ("pictures", _read_pictures), ("chain", _read_chain), ("distances", _read_distances),
    ):  # fmt: skip
        try:
            read(root, run)
        except (OSError, UserError) as error:
            run.notes.append(f"The {what} cannot be read: {error if isinstance(error, UserError) else reason(error)}")
    if not (root / LAST).exists():
        run.notes.append(f"There is no checkpoint ({LAST}).")
    return run


def is_number(value: Any) -> bool:
    """Whether a value of a file is a finite number."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _read_history(root: Path, run: Run) -> None:
    run.history, lost = read_history(root)
    if lost:
        run.notes.append(f"{lost} lines of the history cannot be read.")
    if not run.history:
        run.notes.append("There is no history: how and where it was started is not known (an earlier version's run).")


def _read_config(root: Path, run: Run) -> None:
    if (root / CONFIG_FILE).exists():
        run.config = flat(read_config(root / CONFIG_FILE))
    else:
        run.notes.append(f"There is no {CONFIG_FILE}.")


def _read_curves(root: Path, run: Run) -> None:
    path = root / LOG_FOLDER / METRICS_FILE
    if not path.exists():
        run.notes.append(f"There are no figures ({LOG_FOLDER}/{METRICS_FILE}).")
        return
    with path.open("rb") as file:
        text = file.read(MOST_BYTES).decode("utf-8", errors="replace")
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        run.notes.append("The last line of the figures was broken off and is left out.")
    lines = csv.DictReader(io.StringIO(text.replace("\0", ""), newline=""))
    lost = 0
    try:
        for line in lines:
            step = _number(line.get(STEP))
            if step is None:
                lost += 1
                continue
            for name, cell in line.items():
                if isinstance(name, str) and name not in FIRST_COLUMNS and (value := _number(cell)) is not None:
                    run.curves.setdefault(name, []).append((int(step), value))
    except csv.Error as error:
        run.notes.append(f"The figures cannot be read further than line {lines.line_num}: {error}.")
    if lost:
        run.notes.append(f"{lost} lines of the figures name no step and are left out.")
    _bound(run)


def _bound(run: Run) -> None:
    names = sorted(run.curves)
    if len(names) > MOST_FIGURES:
        run.notes.append(f"There are {len(names):,} figures; the first {MOST_FIGURES:,} are shown.")
    longest = max((len(curve) for curve in run.curves.values()), default=0)
    if longest > MOST_POINTS:
        run.notes.append(f"Curves of up to {longest:,} points are shown by {MOST_POINTS:,} of these.")
    run.curves = {name: evenly(run.curves[name], MOST_POINTS) for name in names[:MOST_FIGURES]}


def _number(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


# ---- pictures ----


def _read_pictures(root: Path, run: Run) -> None:
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in sorted((root / PICTURE_FOLDER).glob("*.png")):
        if match := _PICTURE.fullmatch(path.name):
            found.setdefault(match["split"], []).append((int(match["step"]), path))
    for split, steps in sorted(found.items()):  # test, train, val
        chosen = evenly(sorted(steps), MOST_FRAMES)
        if len(chosen) < len(steps):
            run.notes.append(f"Of {len(steps)} pictures of {split}, {len(chosen)} are shown.")
        frames = list(_frames(run, ((f"step {step:,}", path) for step, path in chosen)))
        if frames:
            run.pictures[split] = frames
    if not run.pictures:
        run.notes.append("There are no pictures of samples.")


def _frames(run: Run, pictures: Iterator[tuple[str, Path]]) -> Iterator[Frame]:
    for label, path in pictures:
        if picture := _picture(run, path):
            yield Frame(label, data_uri(picture))


def _picture(run: Run, path: Path) -> Image.Image | None:
    try:
        return read_picture(path)
    except PictureError as error:
        run.notes.append(f"The picture {path.name} is not shown: {error}.")
        return None


def _read_chain(root: Path, run: Run) -> None:
    """The newest chain, cut into its moments."""
    pictures = sorted((root / CHAIN_FOLDER).glob("step=*.png"))
    if not pictures:
        run.notes.append("There is no chain from noise: `fit` draws it at its end.")
        return
    picture, about = _picture(run, pictures[-1]), _read_json(pictures[-1].with_suffix(".json"))
    steps, of = about.get("steps"), about.get("of")
    if picture is None:
        return
    if not isinstance(steps, list) or not 0 < len(steps) <= picture.height:
        raise UserError(f"{CHAIN_FOLDER}/{pictures[-1].stem}.json does not name the steps of its picture.")
    height = picture.height // len(steps)
    for number, step in enumerate(steps):
        piece = picture.crop((0, number * height, picture.width, (number + 1) * height))
        run.chain.append(Frame(f"after step {step} of {of}", data_uri(piece)))
    run.chain_of = f"{about.get('class', '')} ({about.get('split', '')})"


# ---- distances ----


def _read_distances(root: Path, run: Run) -> None:
    newest: dict[tuple[str, str], list[tuple[Distances, Path]]] = {}
    for path in sorted((root / DISTANCE_FOLDER).glob(f"*/{JSON_FILE}")):
        try:
            content = _read_json(path)
        except UserError as error:
            run.notes.append(str(error))
            continue
        classes = content.get("classes")
        rows = [row for row in classes if isinstance(row, dict)] if isinstance(classes, list) else []
        found = Distances(content, rows, [])
        newest.setdefault((found.split, found.distance), []).append((found, path.parent))
    for several in newest.values():
        several.sort(key=lambda pair: (pair[0].is_complete, pair[0].step or 0))
        chosen, folder = several[-1]
        chosen.earlier = len(several) - 1
        chosen.strips = _strips(run, chosen, folder)
        run.distances.append(chosen)
    if not run.distances:
        run.notes.append("There are no distances of classes (--fid.when last computes them at the end).")


def _strips(run: Run, distances: Distances, folder: Path) -> list[str]:
    """The numbers of the pictures are those of the rows of a whole evaluation."""
    if not distances.is_complete:
        return [""] * len(distances.classes)
    strips = []
    for number in range(min(len(distances.classes), MOST_CLASSES)):
        path = strip_path(folder, number)
        picture = _picture(run, path) if path.exists() else None
        strips.append(data_uri(picture) if picture else "")
    if len(distances.classes) > MOST_CLASSES:
        run.notes.append(f"Images are shown of the first {MOST_CLASSES} of {len(distances.classes)} classes.")
    return strips + [""] * (len(distances.classes) - len(strips))


def _read_json(path: Path) -> dict[str, Any]:
    """Raises UserError for what is no mapping, or cannot be read."""
    name = f"{path.parent.name}/{path.name}"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{name} is too large.")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{name} is not there, or damaged.") from error
    if not isinstance(content, dict):
        raise UserError(f"{name} holds something else than it should.")
    return content
