"""Seconds per training step of a config beside the machine's matrix-multiply peak, measured in turn in one run.

    python bench/train_step.py [--config cifar100.yaml] [--episodes 2] [--precision float32 bf16] [--mode eager]

The step's own arithmetic is counted (multiplications and additions of forward and backward, attention included), so
that the fraction of the peak that it reaches does not depend on the machine. The peak is that of the precision.
"""

import argparse
import json
import statistics
from collections.abc import Callable

import torch
from one_step import OF_THE_CPU, count_flop, load_config, make_step, matrix_product, seconds
from tqdm import tqdm

MATRIX = 3072


def main() -> None:
    """Print the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="cifar100.yaml")
    parser.add_argument("--episodes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", nargs="+", choices=OF_THE_CPU, default=["float32"])
    parser.add_argument("--mode", nargs="+", choices=["eager", "compiled"], default=["eager", "compiled"])
    arguments = parser.parse_args()

    torch.manual_seed(0)
    work: dict[str, Callable[[], object]] = {}
    for precision in arguments.precision:
        work[f"{precision} matmul"] = matrix_product(MATRIX, precision)
        for mode in arguments.mode:
            module = load_config(arguments.config)
            if mode == "compiled":
                module.model.compile()
            work[f"{precision} {mode}"] = make_step(module, arguments.episodes, precision=precision)
    flop = count_flop(make_step(load_config(arguments.config), arguments.episodes))
    for call in work.values():
        call()  # warm up, and compile
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in tqdm(range(arguments.rounds), desc="rounds"):
        for name, call in work.items():
            times[name].append(seconds(call))
    median = {name: statistics.median(values) for name, values in times.items()}
    peaks = {precision: 2 * MATRIX**3 / median[f"{precision} matmul"] for precision in arguments.precision}
    steps = {name: spent for name, spent in median.items() if not name.endswith("matmul")}
    print(
        json.dumps(
            {
                "gflop_per_step": flop / 1e9,
                "matmul_gflop_per_second": {precision: peak / 1e9 for precision, peak in peaks.items()},
                "seconds_per_step": steps,
                "fraction_of_peak": {name: flop / spent / peaks[name.split()[0]] for name, spent in steps.items()},
                "threads": torch.get_num_threads(),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
