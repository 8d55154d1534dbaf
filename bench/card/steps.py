"""Seconds, memory and fraction of the peak of a training step: by config, precision, eager and compiled."""

import statistics
from collections.abc import Iterator
from typing import Any, get_args

import torch
from one_step import (
    OF_THE_CPU,
    Precision,
    count_flop,
    load_config,
    make_step,
    matrix_product,
    peak_memory,
    read_data,
    seconds,
    use_precision,
)
from own_process import within
from tqdm import tqdm

from card.plan import Findings, Plan

ROUNDS = 5
MODES = {"eager": None, "compiled": "default", "cuda graphs": "reduce-overhead"}
MATRIX = {"cpu": 2048, "cuda": 8192}
ON_THE_CPU = 2  # episodes; a card is given the config's batch
LONG = 180.0
"""Seconds after which a compiler is given up; one that was given less is tried again in the next piece."""


def precisions_of(device: torch.device) -> tuple[Precision, ...]:
    """What a device may compute in."""
    return get_args(Precision) if device.type == "cuda" else OF_THE_CPU


def combinations(plan: Plan) -> Iterator[tuple[str, Precision, str]]:
    """Config, precision, mode: what a user would choose first."""
    modes = [mode for mode in MODES if mode != "cuda graphs" or plan.device.type == "cuda"]
    for mode in modes:
        for config in plan.configs:
            for precision in reversed(precisions_of(plan.device)):
                yield config, precision, mode


def measure(plan: Plan, findings: Findings, part: float) -> None:
    """Peaks, then what is not known yet of the steps, until `part` of the piece is gone."""
    for precision in precisions_of(plan.device):
        if precision not in findings.found["peak"]:
            findings.add("peak", precision, peak(precision, plan.device))
    left = [each for each in combinations(plan) if ", ".join(each) not in findings.found["steps"]]
    for config, precision, mode in tqdm(left, desc="steps"):
        limit = min(plan.deadline.left(part), LONG)
        if limit <= 0:
            return
        found = within(limit, step_of, config, precision, mode, plan.device, findings.found["peak"][precision])
        if found is not None or limit == LONG:
            found = found or {"error": f"not done within {limit:.0f} s"}
            findings.add("steps", ", ".join((config, precision, mode)), found)


def peak(precision: Precision, device: torch.device) -> float:
    """Operations a second of a large matrix product."""
    use_precision(precision, device)
    size = MATRIX[device.type]
    product = matrix_product(size, precision, device)
    times = [seconds(product, device) for _ in range(ROUNDS + 2)]
    return 2 * size**3 / statistics.median(times[2:])


def step_of(config: str, precision: Precision, mode: str, device: torch.device, peak: float) -> dict[str, Any]:
    """The figures of one combination."""
    use_precision(precision, device)
    torch.manual_seed(0)
    module = load_config(config)
    if device.type == "cuda":
        module.to(memory_format=torch.channels_last)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    episodes = read_data(config).batch_size if device.type == "cuda" else ON_THE_CPU
    flop = count_flop(make_step(load_config(config), 1)) * episodes
    if MODES[mode] is not None:
        module.model.compile(mode=MODES[mode])
    step = make_step(module, episodes, device, precision)
    times = [seconds(step, device) for _ in range(ROUNDS + 3)]
    spent = statistics.median(times[3:])
    return {
        "episodes": episodes,
        "gflop": flop / 1e9,
        "seconds": spent,
        "fraction_of_peak": flop / spent / peak,
        "memory_mib": peak_memory(device),
        "first_seconds": times[0],
    }
