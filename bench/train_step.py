"""Seconds per training step of cifar100.yaml beside the machine's matrix-multiply peak, measured in turn in one run.

    python bench/train_step.py [--episodes 2] [--rounds 5]

The step's own arithmetic is counted (multiplications and additions of forward and backward, attention included), so
that the fraction of the peak that it reaches does not depend on the machine.
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from lightning_nsd.checkpoints.loading import build_model
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.settings.config_files import find_config
from lightning_nsd.training.ema import update_ema

MATRIX = 3072


def load_config(name: str) -> FewShotDiffusion:
    """The model of a shipped CIFAR-100 config, with fresh weights."""
    config = yaml.safe_load(Path(find_config(name)).read_text(encoding="utf-8"))
    shape = {"image_size": 32, "channels": 3, "n_shot": config["data"]["init_args"]["n_shot"]}
    return build_model({**config["model"], **shape}, name)


def make_step(module: FewShotDiffusion, episodes: int) -> Callable[[], Tensor]:
    """A function that trains one step: forward, backward, AdamW, EMA."""
    n = module.n_shot + 1
    images = torch.rand(episodes, n, 3, 32, 32) * 2 - 1
    t, noise = torch.randint(1000, (episodes,)), torch.randn(episodes * n, 3, 32, 32)
    optimizer = torch.optim.AdamW(module.model.parameters(), lr=1e-4, weight_decay=0.0)
    ema = copy.deepcopy(module.model)

    def step() -> Tensor:
        loss = module.loss_terms(images, t, noise)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_ema(ema, module.model, 0.9999)
        return loss

    return step


def count_flop(step: Callable[[], Tensor]) -> int:
    """Floating-point operations of one step; attention unfused, because the counter does not see into the fused one."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="cifar100.yaml")
    parser.add_argument("--episodes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    module = load_config(arguments.config)
    compiled = load_config(arguments.config)
    compiled.model.compile()
    steps = {"eager": make_step(module, arguments.episodes), "compiled": make_step(compiled, arguments.episodes)}
    flop = count_flop(steps["eager"])
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    work: dict[str, Callable[[], object]] = {"matmul": lambda: a @ b, **steps}
    for call in work.values():
        call()  # warm up, and compile
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in tqdm(range(arguments.rounds), desc="rounds"):
        for name, call in work.items():
            times[name].append(seconds(call))
    median = {name: statistics.median(values) for name, values in times.items()}
    peak = 2 * MATRIX**3 / median["matmul"]
    print(
        json.dumps(
            {
                "gflop_per_step": flop / 1e9,
                "matmul_gflop_per_second": peak / 1e9,
                "seconds_per_step": {name: median[name] for name in steps},
                "fraction_of_peak": {name: flop / median[name] / peak for name in steps},
                "threads": torch.get_num_threads(),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
