"""Applies each mutant to a copy of the repository and runs the ladder's tests that have to notice it."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from parity_tests.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
COPIED = ("lightning_nsd", "jax_reference", "parity_tests", "configs", "pyproject.toml")
MESSAGE = "AssertionError: "


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


def run_tests(folder: Path, tests: Sequence[str]) -> tuple[int, str]:
    """pytest's exit status and its first failure, in a copy of the repository."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=short", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *(f"parity_tests/{test}" for test in tests)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
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


def judge(folder: Path, mutant: Mutant) -> Outcome:
    """Run the tests with one mistake in place, and mend it again."""
    text = apply(folder, mutant)
    try:
        status, message = run_tests(folder, mutant.tests)
    finally:
        (folder / "lightning_nsd" / mutant.file).write_text(text, encoding="utf-8")
    return Outcome(status == 1, status == 1 and mutant.module in message, message)


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


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every mutant is killed, 1 where one survives or the ladder fails without one."""
    options = argparse.ArgumentParser(prog="python -m parity_tests.mutants", description=__doc__)
    options.add_argument("--only", default="", help="mutants whose file or text contains this")
    given = options.parse_args(arguments)
    chosen = [mutant for mutant in MUTANTS if given.only in str(mutant)]
    console = Console()
    table = Table("mutant", "killed", "names the module", "failure")
    survivors = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_repository(folder)
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        status, message = run_tests(folder, tests)
        if status:
            console.print(f"The ladder fails without any mutant: {message}", markup=False)
            return 1
        for mutant in tqdm(chosen, unit="mutant"):
            outcome = judge(folder, mutant)
            survivors += not outcome.killed
            words = ("yes" if outcome.killed else "SURVIVED", "yes" if outcome.named else "no")
            table.add_row(str(mutant).replace("[", r"\["), *words, outcome.message.replace("[", r"\[")[:160])
    console.print(table)
    console.print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed.")
    return 1 if survivors else 0
