"""Applies each mutant to a copy of the repository and runs the ladder's tests that have to notice it."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from typing import NamedTuple, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tqdm import tqdm

from parity_tests.mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent.parent
COPIED = ("lightning_nsd", "jax_reference", "parity_tests", "configs", "pyproject.toml")
T = TypeVar("T")
MESSAGE = "AssertionError: "
HEAD = ("mutant", "killed", "names the module", "failure")
MARKDOWN_ABOUT = """Small mistakes made in `lightning_nsd`, one at a time, and what the parity tests said. The list is
`parity_tests/mutants/table.py`; `python -m parity_tests.mutants --output docs/mutants.md` made this page."""


class Outcome(NamedTuple):
    """How the tests met a mutant.

    Attributes:
        killed: a test failed.
        named: the failure names the mutant's module.
        message: the failure.
    """

    killed: bool
    named: bool
    message: str


def run_module(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """`python -m …` in a copy of the repository."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def run_tests(folder: Path, tests: Sequence[str]) -> tuple[int, str]:
    """pytest's exit status and its first failure, in a copy of the repository."""
    command = ("pytest", "-x", "-q", "--tb=short", "-p", "no:cacheprovider")
    done = run_module(folder, *command, *(f"parity_tests/{test}" for test in tests))
    errors = [line[1:].strip() for line in done.stdout.splitlines() if line.startswith("E ")]
    return done.returncode, next(
        (line for line in errors if MESSAGE in line), errors[0] if errors else done.stdout[-300:]
    )


def apply(folder: Path, mutant: Mutant) -> str:
    """Make the mistake, and return the file's text before it.

    Raises:
        ValueError: the original text is not there exactly once.
    """
    path = folder / "lightning_nsd" / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.original) != 1:
        raise ValueError(f"{mutant.file} has {mutant.original!r} {text.count(mutant.original)} times, not once")
    path.write_text(text.replace(mutant.original, mutant.replaced), encoding="utf-8")
    return text


@contextmanager
def with_mistake(folder: Path, mutant: Mutant) -> Iterator[None]:
    """A copy of the repository with one mistake in it, mended again afterwards."""
    text = apply(folder, mutant)
    try:
        yield
    finally:
        (folder / "lightning_nsd" / mutant.file).write_text(text, encoding="utf-8")


def judge(folder: Path, mutant: Mutant) -> Outcome:
    """Run the tests with one mistake in place."""
    with with_mistake(folder, mutant):
        status, message = run_tests(folder, mutant.tests)
    return Outcome(status == 1, status == 1 and mutant.module in message, message)


def judge_all(mutants: Sequence[Mutant], folders: Iterable[Path], judge: Callable[[Path, Mutant], T]) -> Iterator[T]:
    """The outcome of each mutant, in their order; as many at a time as there are copies of the repository."""
    free: Queue[Path] = Queue()
    for folder in folders:
        free.put(folder)

    def judge_somewhere(mutant: Mutant) -> T:
        folder = free.get()
        try:
            return judge(folder, mutant)
        finally:
            free.put(folder)

    with ThreadPoolExecutor(free.qsize()) as pool:
        yield from pool.map(judge_somewhere, mutants)


def copy_repository(folder: Path) -> None:
    """What the tests need, in a folder that may be changed."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    cache = ROOT / ".pytest_cache" / "jax"
    cache.mkdir(parents=True, exist_ok=True)
    (folder / ".pytest_cache").mkdir()
    (folder / ".pytest_cache" / "jax").symlink_to(cache)


@contextmanager
def repository_copies() -> Iterator[list[Path]]:
    """As many copies as there are processors."""
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(os.cpu_count() or 1)]
        for folder in folders:
            copy_repository(folder)
        yield folders


def as_rows(mutants: Sequence[Mutant], outcomes: Sequence[Outcome]) -> list[tuple[str, str, str, str]]:
    """What is shown of each: mutant, killed, whether the module was named, the failure."""
    return [
        (str(m), "yes" if o.killed else "SURVIVED", "yes" if o.named else "no", o.message[:160])
        for m, o in zip(mutants, outcomes, strict=True)
    ]


def in_cell(text: str) -> str:
    """A text that stands in a cell of a Markdown table."""
    return text.replace("|", chr(92) + "|")


def as_markdown(rows: Sequence[Sequence[str]], summary: str) -> str:
    """A page with the table."""
    lines = [f"| {' | '.join(cells)} |" for cells in [HEAD, ["---"] * len(HEAD)]]
    lines += [
        f"| `{in_cell(mutant)}` | {killed} | {named} | `{in_cell(message)}` |"
        for mutant, killed, named, message in rows
    ]
    return "\n".join(["# Mutants", "", MARKDOWN_ABOUT, "", summary, "", *lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every mutant is killed, 1 where one survives or the ladder fails without one."""
    options = argparse.ArgumentParser(prog="python -m parity_tests.mutants", description=__doc__)
    options.add_argument("--only", default="", help="mutants whose file or text contains this")
    options.add_argument("--output", type=Path, help="a Markdown file to write the table to")
    given = options.parse_args(arguments)
    chosen = [mutant for mutant in MUTANTS if given.only in str(mutant)]
    console = Console()
    with repository_copies() as folders:
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        status, message = run_tests(folders[0], tests)
        if status:
            console.print(f"The ladder fails without any mutant: {message}", markup=False)
            return 1
        outcomes = list(tqdm(judge_all(chosen, folders, judge), unit="mutant", total=len(chosen)))
    rows = as_rows(chosen, outcomes)
    killed, named = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("killed", "named"))
    summary = f"{killed} of {len(chosen)} mutants killed; the failure named the module of {named}."
    table = Table(*HEAD)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
    console.print(summary)
    if given.output:
        given.output.write_text(as_markdown(rows, summary), encoding="utf-8")
    return 0 if killed == len(chosen) else 1
