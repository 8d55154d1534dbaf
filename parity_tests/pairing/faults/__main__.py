"""`python -m parity_tests.pairing.faults`: plant each fault, and say whether it is found, named and explained."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from parity_tests import backends
from parity_tests.pairing import Pairing
from parity_tests.pairing.faults.table import FAULTS, Fault
from parity_tests.pairing.faults.torch_network import Network

SOURCE = Path(__file__).parent / "jax_network.py"
RUNGS = ("weights", "module", "forward")


class Outcome(NamedTuple):
    """What was said about a fault.

    Attributes:
        found: the report failed.
        named: it names the module.
        explained: its words hold those of the table.
        module: what it names.
        words: what it says.
    """

    found: bool
    named: bool
    explained: bool
    module: str | None
    words: str | None


def with_fault(fault: Fault | None) -> Any:
    """The JAX network with a mistake, from its text.

    Raises:
        ValueError: the text is not there exactly once.
    """
    text = SOURCE.read_text(encoding="utf-8")
    if fault is not None:
        if text.count(fault.original) != 1:
            raise ValueError(f"{fault.original!r} is there {text.count(fault.original)} times, not once")
        text = text.replace(fault.original, fault.replaced)
    module = ModuleType("jax_network")
    exec(compile(text, str(SOURCE), "exec"), vars(module))
    return module.Network(nnx.Rngs(0))


def pairing(fault: Fault | None) -> Pairing:
    """Both networks, the JAX side with a mistake."""
    random = np.random.default_rng(0)
    inputs = (random.standard_normal((2, 3, 8, 8)), random.uniform(0, 100, 2))
    return Pairing(Network(), with_fault(fault), inputs, jax_inputs=lambda x, t: (x.transpose(0, 2, 3, 1), t))


def outcome(fault: Fault) -> Outcome:
    """Plant a fault, and hear what is said."""
    report = pairing(fault).check(RUNGS)
    module, words = report.first_module, report.explanation
    explained = fault.words is not None and words is not None and fault.words in words
    return Outcome(not report.passed, (module or "") == fault.module, explained, module, words)


def main() -> int:
    """Print the table; the exit status says whether all faults were found."""
    backends.exact()
    backends.compile_once(Path(".pytest_cache") / "jax")
    table = Table("fault", "found", "module named", "explanation")
    outcomes = []
    for fault in tqdm(FAULTS, desc="faults"):
        said = outcome(fault)
        outcomes.append(said)
        change = f"{fault.original.strip()} → {fault.replaced.strip()}"
        named = f"{said.module}" + ("" if said.named else f", and not {fault.module}")
        table.add_row(change, "yes" if said.found else "NO", named, said.words or "")
    Console(width=200).print(table)
    found, named, explained = (sum(getattr(o, name) for o in outcomes) for name in ("found", "named", "explained"))
    print(f"{len(FAULTS)} faults: {found} found, {named} named rightly, {explained} explained in words")
    return 0 if found == len(FAULTS) else 1


if __name__ == "__main__":
    sys.exit(main())
