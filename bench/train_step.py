"""Seconds per training step of a config beside the machine's matrix-multiply peak, measured in turn in one run.

    python bench/train_step.py [--config cifar100.yaml] [--episodes 2] [--precision float32 bf16] [--mode eager jax]
                               [--before FOLDER]

The step's own arithmetic is counted (multiplications and additions of forward and backward, attention included), so
that the fraction of the peak that it reaches does not depend on the machine. The peak is that of the precision.
`jax` is the reference's step, compiled, in float32. `--before` is the folder of another checkout (`git worktree add`),
whose step is timed with the others. Then every step is made again in a process of its own, for the memory that this
process takes at most.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from one_step import (
    OF_THE_CPU,
    Precision,
    count_flop,
    load_config,
    make_step,
    matrix_product,
    peak_memory,
    seconds,
)
from other_checkout import checkout, make_step_of
from own_process import within
from tqdm import tqdm

MATRIX = 3072
MODES = ("eager", "compiled", "jax")
BEFORE = "float32 before"
LONG = 900.0
"""Seconds after which the memory of a step is given up."""


def step_of(config: str, episodes: int, precision: Precision, mode: str) -> Callable[[], object]:
    """A function that trains one step."""
    if mode == "jax":
        from jax_step import make_jax_step  # here: JAX's libraries are no part of what a step of torch takes

        return make_jax_step(config, episodes)
    module = load_config(config)
    if mode == "compiled":
        module.model.compile()
    return make_step(module, episodes, precision=precision)


def memory_of(config: str, episodes: int, precision: Precision, mode: str) -> dict[str, Any]:
    """MiB of a process that trains two steps; the second has the optimiser's moments from the beginning."""
    step = step_of(config, episodes, precision, mode)
    step()
    step()
    return {"mib": peak_memory()}


def main() -> None:
    """Print the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="cifar100.yaml")
    parser.add_argument("--episodes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", nargs="+", choices=OF_THE_CPU, default=["float32"])
    parser.add_argument("--mode", nargs="+", choices=MODES, default=["eager", "compiled"])
    parser.add_argument("--before", type=checkout, metavar="FOLDER")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    pairs = [pair for pair in product(arguments.precision, arguments.mode) if pair != ("bf16", "jax")]
    steps = {
        f"{precision} {mode}": step_of(arguments.config, arguments.episodes, precision, mode)
        for precision, mode in pairs
    }
    if arguments.before is not None:
        steps[BEFORE] = make_step_of(arguments.before, arguments.config, arguments.episodes)
    products = {f"{precision} matmul": matrix_product(MATRIX, precision) for precision in arguments.precision}
    flop = count_flop(make_step(load_config(arguments.config), arguments.episodes))
    work = products | steps
    for call in work.values():
        call()  # warm up, and compile
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in tqdm(range(arguments.rounds), desc="rounds"):
        for name, call in work.items():
            times[name].append(seconds(call))
    median = {name: statistics.median(values) for name, values in times.items()}
    peaks = {precision: 2 * MATRIX**3 / median[f"{precision} matmul"] for precision in arguments.precision}
    memory = {
        f"{precision} {mode}": within(LONG, memory_of, arguments.config, arguments.episodes, precision, mode)
        for precision, mode in tqdm(pairs, desc="memory")
    }
    if arguments.before is not None:
        fresh = make_step_of(arguments.before, arguments.config, arguments.episodes)
        fresh()
        memory[BEFORE] = {"mib": fresh()}
    print(
        json.dumps(
            {
                "gflop_per_step": flop / 1e9,
                "matmul_gflop_per_second": {precision: peak / 1e9 for precision, peak in peaks.items()},
                "seconds_per_step": {name: median[name] for name in steps},
                "fraction_of_peak": {name: flop / median[name] / peaks[name.split()[0]] for name in steps},
                "memory": memory,
                "threads": torch.get_num_threads(),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
