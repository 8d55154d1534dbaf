"""Folders of runs as `fit` leaves them, without any training."""

import json
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_nsd.evaluation.files import folder_of, write_tables
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.row import Row
from lightning_nsd.evaluation.strips import write_strips
from lightning_nsd.metrics.distances import Distances
from lightning_nsd.pictures import grid, write_picture
from lightning_nsd.report.collect import collect
from lightning_nsd.report.page import page
from lightning_nsd.runs.history import END, START, note

CLASSES = ("anchor", "bicycle", "candle")
VALUES = (30.0, 10.0, 20.0)
MakeRun = Callable[..., Path]


def make_run(root: Path, classes: Sequence[str] = CLASSES, values: Sequence[float] = VALUES, lr: float = 1e-3) -> Path:
    """A run of eight steps that was stopped at the fourth and continued."""
    draw = torch.Generator().manual_seed(0)
    root.mkdir(parents=True)
    config = {"seed_everything": 0, "trainer": {"default_root_dir": f"/home/somebody/{root.name}"}, "model": {"lr": lr}}
    (root / "config.yaml").write_text(json.dumps(config))
    for step in (0, 4):
        about = {"seeds": {"seed_everything": 0}, "versions": {"torch": "2.9.1"}, "machine": {"cores": "2"}}
        settings = [["model.lr", 0.01, lr, "command line"], ["model.decay", 0.9, 0.99, "glyphs.yaml"]]
        note(root, START, step, command=["fit", "--model.lr", str(lr)], settings=settings, **about)
        note(root, END, step + 4, how="finished" if step else "stopped by SIGTERM")
    lines = [f"{step},0,{1 / (step + 1)},{'' if step % 4 else 2.5},1e-3,7" for step in range(8)]
    (root / "logs/metrics.csv").write_text(
        "\n".join([f"step,epoch,train/loss,val/loss,lr-AdamW,val/fid/{classes[0]}".replace("\n", " "), *lines]) + "\n"
    )
    for step in (4, 8):
        for split in ("train", "val"):
            picture = grid([torch.rand(5, 1, 8, 8, generator=draw) * 2 - 1], rule_after=3)
            write_picture(root / f"samples/{split}_step={step:08d}.png", picture)
    frame = grid([torch.rand(6, 1, 8, 8, generator=draw)])
    (root / "chain").mkdir()
    tall = frame.resize((frame.width, 3 * frame.height))
    write_picture(root / "chain/step=00000008.png", tall)
    chain = {"split": "val", "class": classes[0], "steps": [1, 2, 4], "of": 4, "examples": 3}
    (root / "chain/step=00000008.json").write_text(json.dumps(chain))
    write_distances(root, classes, values)
    (root / "last.ckpt").write_bytes(b"weights")
    return root


def write_distances(
    root: Path, classes: Sequence[str] = CLASSES, values: Sequence[float] = VALUES, step: int = 8
) -> None:
    draw = torch.Generator().manual_seed(1)
    rows = [
        Row(
            name, 40, 20, Distances(fid=value, kid=value / 100, floor=9.5, floor_n=10),
            strip=torch.randint(256, (8, 1, 8, 8), generator=draw, dtype=torch.uint8),
            real_strip=torch.randint(256, (8, 1, 8, 8), generator=draw, dtype=torch.uint8),
        )
        for name, value in zip(classes, values, strict=True)
    ]  # fmt: skip
    report = Report("val", step, "fd_glyphnet", "kd_glyphnet", 20, rows=rows, complete=True)
    write_strips(folder_of(root, report), report)
    write_tables(folder_of(root, report), report)


class Parsed(HTMLParser):
    """What a browser would make of a page.

    Attributes:
        tags: every element, with its attributes.
        text: of everything that is not script or style.
        scripts: the content of every script, and of the JSON's.
        rows: the cells of every row of every table, as text.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.rows: list[list[str]] = []
        self._inside = ""
        self._in_cell = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag in ("script", "style"):
            self._inside = tag
            (self.scripts if tag == "script" else self.styles).append("")
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""
        elif tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            (self.scripts if self._inside == "script" else self.styles)[-1] += data
            return
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data.strip()

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def data(self) -> dict[str, Any]:
        """What the page gives its script."""
        return json.loads(self.scripts[0])

    def row(self, first: str) -> list[str]:
        """The row of a table that starts with a text."""
        return next(row for row in self.rows if row and row[0] == first)


def parsed(*roots: Path) -> Parsed:
    """The page of one run, or of two."""
    return Parsed(page([collect(root) for root in roots]))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "first")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return make_run(tmp_path / "second", classes=("bicycle", "candle", "drum"), values=(12.5, 18.0, 40.0), lr=2e-3)
