"""One training step of a config in a process of its own, by turns with others: of this checkout, or of another."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from one_step import Precision, load_config, make_step, peak_memory

ROOT = Path(__file__).parent.parent
MODES = ("eager", "compiled", "jax")


def checkout(folder: str) -> Path:
    """The folder of another checkout, as an argument of a command line.

    Raises:
        argparse.ArgumentTypeError: no package is there.
    """
    if not (Path(folder) / "lightning_nsd" / "__init__.py").is_file():
        raise argparse.ArgumentTypeError(f"{folder} holds no lightning_nsd; name the folder of a checkout.")
    return Path(folder).resolve()


def start_step(
    config: str, episodes: int, precision: Precision = "float32", mode: str = "eager", root: Path = ROOT
) -> Callable[[], float]:
    """Start a process that trains one step whenever it is asked to; between calls it waits, and it ends with this one.

    What one framework's threads and libraries cost is so no part of another's step.

    Args:
        config: a shipped config's name, read in `root`, or a file.
        episodes: in a batch.
        precision: of torch's products.
        mode: `jax` is the reference's step, compiled, in float32.
        root: what `checkout` gives; what this bench uses of the package has to be there.

    Returns:
        What makes the step and gives the MiB that the process has taken at most.

    Raises:
        RuntimeError: of a step, where the process has ended; what it said is on stderr.
    """
    process = subprocess.Popen(
        [sys.executable, __file__, config, str(episodes), precision, mode],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    asks, answers = process.stdin, process.stdout
    assert asks is not None and answers is not None

    def step() -> float:
        with suppress(BrokenPipeError):  # of a process that has ended, which has no answer either
            print(file=asks, flush=True)
        answer = answers.readline()
        if not answer:
            raise RuntimeError(f"The {mode} step of {root} in {precision} ended with status {process.wait()}.")
        return float(answer)

    return step


def step_of(config: str, episodes: int, precision: Precision, mode: str) -> Callable[[], object]:
    """A function that trains one step."""
    if mode == "jax":
        from jax_step import make_jax_step  # here: JAX's libraries are no part of what a step of torch takes

        return make_jax_step(config, episodes)
    module = load_config(config)
    if mode == "compiled":
        module.model.compile()
    return make_step(module, episodes, precision=precision)


def main() -> None:
    """Make a step for every line that comes."""
    config, episodes, precision, mode = sys.argv[1:]
    step = step_of(config, int(episodes), precision, mode)  # type: ignore[arg-type]
    for _ in sys.stdin:
        step()
        print(peak_memory(), flush=True)


if __name__ == "__main__":
    main()
