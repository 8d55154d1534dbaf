"""The ladder for any config, at its real size, from the command line."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from parity_tests import backends
from parity_tests.check import RUNGS
from parity_tests.tolerances import LowPrecision

MODULE = RUNGS.index("module")
ONLY_MODULES = "is for rung 2 of a pair in float64, in torch eager: leave out --rungs, --dtype and --backend"
WIDTH = 140  # of the table where the output is no terminal
DESCRIPTION = """Hold a config's model against the JAX reference, rung by rung: 0 schedule, 1 op, 2 module, 3 model,
4 loss and gradients, 5 optimiser steps, 6 samplers, 7 metrics, 8 samplers of both against data whose exact network is
known. Exits with 1 where a rung fails."""


def parse_rungs(text: str) -> list[int]:
    """`0-8`, `3` or `0,3-4` as numbers."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise argparse.ArgumentTypeError(f"{text!r} is not like 0-8, 3 or 0,3-4")
        numbers.update(range(int(first), int(last or first) + 1))
    if not numbers or max(numbers) >= len(RUNGS):
        raise argparse.ArgumentTypeError(f"{text!r}: rungs are 0 to {len(RUNGS) - 1}")
    return sorted(numbers)


def positive(text: str) -> int:
    """A whole number of at least one."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(prog="python -m parity_tests", description=DESCRIPTION)
    options.add_argument(
        "--config",
        required=True,
        action="append",
        help="a config's path, or the name of a shipped one; given again, the next is laid over it",
    )
    options.add_argument("--rungs", type=parse_rungs, help="such as 0-8, 3 or 0,3-4 (default: all)")
    options.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    options.add_argument(
        "--precision",
        choices=get_args(LowPrecision),
        help="run rung 2 in this low precision, with tolerances derived from the model in float64",
    )
    options.add_argument("--backend", choices=("torch", "xla"), default="torch", help="where the torch side computes")
    options.add_argument("--ckpt", help="use this Lightning checkpoint's weights, not random ones")
    options.add_argument("--batch", type=positive, default=1, help="episodes (default: 1)")
    options.add_argument("--steps", type=positive, default=3, help="optimiser steps of rung 5 (default: 3)")
    options.add_argument("--sampler-steps", type=positive, default=5, help="steps of rung 6 (default: 5)")
    options.add_argument("--output-dir", type=Path, default=Path("."), help="where parity.json and parity.html go")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the ladder; 0 where every check passes, 1 where one fails, 2 for an error that the user can mend."""
    given = parser().parse_args(arguments)
    backends.exact(threads=os.cpu_count() or 1)
    from lightning_nsd.errors import UserError

    if given.precision is not None:
        if given.dtype != "float64" or given.backend != "torch" or given.rungs not in (None, [MODULE]):
            print(f"error: --precision {given.precision} {ONLY_MODULES}", file=sys.stderr)
            return 2
        given.rungs = [MODULE]
    given.rungs = given.rungs or list(range(len(RUNGS)))
    if given.backend == "xla" and not backends.has_xla():
        print(f"error: {backends.XLA_MISSING}", file=sys.stderr)
        return 2
    try:
        return run(given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(given: argparse.Namespace) -> int:
    """Check, show, write."""
    import jax
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from jax_reference.config import read_config
    from lightning_nsd.files.whole_file import check_place
    from parity_tests import report as reports
    from parity_tests.ladder import Ladder, Options

    config = read_config(*given.config)
    check_place(given.output_dir / "parity.json", "--output-dir")
    chosen = {name: getattr(given, name) for name in vars(Options()) if hasattr(given, name)}
    ladder = Ladder(config, Options(**chosen))
    checks = []
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} rungs"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("building both models", total=len(given.rungs))
        for number in ladder.order:
            progress.update(task, description=f"rung {number}: {RUNGS[number]}")
            for check in ladder.rung(number):
                checks.append(check)
                progress.update(task, description=f"rung {number}: {check.what}")
            progress.advance(task)
    checks.sort(key=lambda check: RUNGS.index(check.rung))
    about = {
        "config": " + ".join(given.config),
        **{name: value for name, value in chosen.items() if name != "rungs"},
        "rungs": ", ".join(map(str, given.rungs)),
        "torch version": torch.__version__,
        "jax version": jax.__version__,
    }
    report = reports.Report(about, checks)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(reports.table(report))
    console.print(reports.conclusion(report))
    reports.write_json(report, given.output_dir / "parity.json")
    reports.write_html(report, given.output_dir / "parity.html")
    console.print(f"Written: {given.output_dir / 'parity.json'}, {given.output_dir / 'parity.html'}")
    return 0 if report.passed else 1
