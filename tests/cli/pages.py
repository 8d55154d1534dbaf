"""The pages that people read, and what stands in their code blocks."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.cli.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
SHELLS = ("bash", "sh")
NOTEBOOK = "ipython"
"""A cell of a notebook: a line that starts with ! is a command."""
OTHER_LANGUAGES = ("python", "text", "mermaid")


class Block(NamedTuple):
    """A code block of a page."""

    page: str
    language: str
    text: str


class Command(NamedTuple):
    """A command of a code block: what it sets in the environment, and its words."""

    page: str
    environment: dict[str, str]
    words: tuple[str, ...]
    notebook: bool

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def blocks() -> Iterator[Block]:
    """Every code block, page after page."""
    for path in PAGES:
        for language, text in BLOCK.findall(path.read_text(encoding="utf-8")):
            yield Block(path.relative_to(ROOT).as_posix(), language, text)


def commands() -> Iterator[Command]:
    """Every command of the blocks for a shell, and of a notebook's cells."""
    for block in blocks():
        for line in block.text.replace("\\\n", "").splitlines():
            line = line.strip()
            if block.language in SHELLS or (block.language == NOTEBOOK and line.startswith("!")):
                for part in line.removeprefix("!").split(" && "):
                    words = shlex.split(part, comments=True)
                    first = next((i for i, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)), len(words))
                    environment = dict(word.split("=", 1) for word in words[:first])
                    if words:
                        yield Command(block.page, environment, tuple(words[first:]), block.language == NOTEBOOK)


def named_files(path: Path) -> Iterator[Path]:
    """The files that a page links to, shows, or names by their path in the repository or in a package.

    What a recipe calls `my_…` is for the reader to make.
    """
    text = BLOCK.sub("", path.read_text(encoding="utf-8"))
    for linked in re.findall(r"\]\((?!https?:)([^)#\s]+)[^)]*\)", text):
        yield path.parent / linked
    for named in re.findall(r"`((?:[\w.]+/)+\w+\.(?:py|md|yaml|toml))`", text):
        if "/my_" not in named and "/test_my_" not in named:
            places = [ROOT / "lightning_nsd" / named, ROOT / "jax_reference" / named]
            yield next((place for place in places if place.exists()), ROOT / named)
