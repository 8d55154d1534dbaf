"""Seconds per training step of a config beside the machine's matrix-multiply peak, measured in turn in one run.

    python bench/train_step.py [--config cifar100.yaml] [--episodes 2] [--precision float32 bf16] [--mode eager jax]
                               [--before FOLDER]

The step's own arithmetic is counted (multiplications and additions of forward and backward, attention included), so
that the fraction of the peak that it reaches does not depend on the machine. The peak is that of the precision.
`jax` is the reference's step, compiled, in float32. `--before` is the folder of another checkout (`git worktree add`),
whose step is timed with the others. Every kind of step has a process of its own, whose memory is said too.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from itertools import product

import torch
from one_step import OF_THE_CPU, count_flop, load_config, make_step, matrix_product, seconds
from step_process import MODES, checkout, start_step
from tqdm import tqdm

MATRIX = 3072


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
    config, episodes = arguments.config, arguments.episodes
    steps = {
        f"{precision} {mode}": start_step(config, episodes, precision, mode)
        for precision, mode in product(arguments.precision, arguments.mode)
        if (precision, mode) != ("bf16", "jax")
    }
    if arguments.before is not None:
        steps["float32 before"] = start_step(config, episodes, root=arguments.before)
    products = {f"{precision} matmul": matrix_product(MATRIX, precision) for precision in arguments.precision}
    flop = count_flop(make_step(load_config(config), episodes))
    work: dict[str, Callable[[], object]] = {**products, **steps}
    for call in tqdm(work.values(), desc="warming up"):
        call()
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in tqdm(range(arguments.rounds), desc="rounds"):
        for name, call in work.items():
            times[name].append(seconds(call))
    median = {name: statistics.median(values) for name, values in times.items()}
    peaks = {precision: 2 * MATRIX**3 / median[f"{precision} matmul"] for precision in arguments.precision}
    print(
        json.dumps(
            {
                "gflop_per_step": flop / 1e9,
                "matmul_gflop_per_second": {precision: peak / 1e9 for precision, peak in peaks.items()},
                "seconds_per_step": {name: median[name] for name in steps},
                "fraction_of_peak": {name: flop / median[name] / peaks[name.split()[0]] for name in steps},
                "mib": {name: step() for name, step in steps.items()},
                "threads": torch.get_num_threads(),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
