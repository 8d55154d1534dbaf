"""`python -m parity_tests.examples`: every pair, its worst errors and what differs, as one table."""

import inspect
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from parity_tests import backends
from parity_tests.examples import bert, gpt2, resnet, vit

RUNGS = ("weights", "module", "forward", "gradient", "optimizer", "ema")


def main() -> int:
    """Print the table, and write a page for each pair."""
    backends.compile_once(Path(".pytest_cache") / "jax")
    table = Table("pair", "lines", "seconds", "worst forward", "worst gradient", "first difference")
    for example in tqdm((bert, gpt2, vit, resnet), desc="pairs"):
        start = time.perf_counter()
        report = example.pairing().check(RUNGS)
        seconds = time.perf_counter() - start
        worst = {check.rung: check.worst.error for check in report.checks}
        lines = len(inspect.getsource(example.pairing).splitlines())
        said = f"{report.first_module}: {report.explanation}" if report.first_module else "none"
        shown = (f"{worst[rung]:.1e}" for rung in ("model", "loss"))
        table.add_row(str(example.__doc__).splitlines()[0], str(lines), f"{seconds:.0f}", *shown, said)
        folder = Path("runs", "parity_examples")
        folder.mkdir(parents=True, exist_ok=True)
        report.html(folder / f"{example.__name__.rpartition('.')[2]}.html")
    Console(width=180).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
