"""One training step of a config as another checkout of this repository makes it, by turns with what this one does."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from one_step import load_config, make_step, peak_memory


def checkout(folder: str) -> Path:
    """The folder of another checkout, as an argument of a command line.

    Raises:
        argparse.ArgumentTypeError: no package is there.
    """
    if not (Path(folder) / "lightning_nsd" / "__init__.py").is_file():
        raise argparse.ArgumentTypeError(f"{folder} holds no lightning_nsd; name the folder of a checkout.")
    return Path(folder).resolve()


def make_step_of(root: Path, config: str, episodes: int) -> Callable[[], float]:
    """A function that lets the package of another folder train one step in float32; between calls it waits.

    Args:
        root: what `checkout` gives; what this bench uses of the package has to be there.
        config: a shipped config's name, read there, or a file.
        episodes: in a batch.

    Returns:
        What makes the step and gives the MiB that the other process has taken at most.

    Raises:
        RuntimeError: the other process ended; what it said is on stderr.
    """
    process = subprocess.Popen(
        [sys.executable, __file__, config, str(episodes)],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    asks, answers = process.stdin, process.stdout
    assert asks is not None and answers is not None

    def step() -> float:
        print(file=asks, flush=True)
        answer = answers.readline()
        if not answer:
            raise RuntimeError(f"The step of {root} ended with status {process.wait()}.")
        return float(answer)

    return step


def main() -> None:
    """Make a step for every line that comes; the process ends with the one that asks."""
    config, episodes = sys.argv[1:]
    step = make_step(load_config(config), int(episodes))
    for _ in sys.stdin:
        step()
        print(peak_memory(), flush=True)


if __name__ == "__main__":
    main()
