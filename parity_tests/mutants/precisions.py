"""`python -m parity_tests.mutants.precisions`: how many mistakes in the network are still seen where precision is low.

Each is looked for in every module on its own, in whole networks and in the vector-Jacobian products of both: with the
table's tolerances in float64 and float32, with derived ones below.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tqdm import tqdm

from parity_tests.mutants.caught import PRECISIONS
from parity_tests.mutants.run import in_cell, judge_all, repository_copies, run_module, with_mistake
from parity_tests.mutants.table import MUTANTS, Mutant

NETWORK = "model/"
Caught = dict[str, str | None]


def run_caught(folder: Path) -> Caught:
    """By precision, the first case in which the sides differ.

    Raises:
        RuntimeError: nothing was said.
    """
    done = run_module(folder, "parity_tests.mutants.caught")
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    return json.loads(done.stdout.splitlines()[-1])


def judge(folder: Path, mutant: Mutant) -> Caught:
    """In which precisions one mistake is seen; in all where nothing can be computed with it."""
    with with_mistake(folder, mutant):
        try:
            return run_caught(folder)
        except RuntimeError:
            return dict.fromkeys(PRECISIONS, "an error")


def as_markdown(mutants: Sequence[Mutant], found: Sequence[Caught]) -> str:
    """A table of counts, and which of those that float64 sees are missed below."""
    lines = ["| " + " | ".join(("", *PRECISIONS)) + " |", "|" + "---|" * (len(PRECISIONS) + 1)]
    counts = (f"{sum(each[p] is not None for each in found)} of {len(found)}" for p in PRECISIONS)
    lines += ["| mistakes seen | " + " | ".join(counts) + " |", "", "| missed | in |", "|---|---|"]
    for mutant, each in zip(mutants, found, strict=True):
        missed = [p for p in PRECISIONS if each[p] is None]
        if missed:
            lines.append(f"| `{in_cell(str(mutant))}` | {', '.join(missed)} |")
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts; 1 where the sides differ in float64 without any mistake."""
    options = argparse.ArgumentParser(prog="python -m parity_tests.mutants.precisions", description=__doc__)
    options.add_argument("--only", default="", help="mutants whose file or text contains this")
    options.add_argument("--output", type=Path, help="a Markdown file to write the tables to")
    given = options.parse_args(arguments)
    chosen = [mutant for mutant in MUTANTS if mutant.file.startswith(NETWORK) and given.only in str(mutant)]
    console = Console()
    with repository_copies() as folders:
        if any(odd := run_caught(folders[0]).values()):
            console.print(f"The sides differ without any mutant: {odd}", markup=False)
            return 1
        found = list(tqdm(judge_all(chosen, folders, judge), unit="mutant", total=len(chosen)))
    table = Table("mutant", *PRECISIONS)
    for mutant, each in zip(chosen, found, strict=True):
        table.add_row(escape(str(mutant)), *("" if each[p] is None else "seen" for p in PRECISIONS))
    console.print(table)
    if given.output:
        given.output.write_text(as_markdown(chosen, found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
