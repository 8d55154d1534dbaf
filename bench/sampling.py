"""Images per second of samplers, with guidance and without, beside the machine's matrix-multiply peak, in one run.

    python bench/sampling.py [--config glyphs.yaml] [--images 64] [--precision float32 bf16]

The arithmetic is counted: what guidance costs is the doubled batch, and within an interval it is doubled there alone.
"""

import argparse
import json
import statistics
from collections.abc import Callable

import torch
from one_step import OF_THE_CPU, Precision, in_precision, load_config, matrix_product, seconds
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from lightning_nsd.diffusion.sampler import DDIM, DPMSolverPP, Sampler
from lightning_nsd.module import FewShotDiffusion

MATRIX = 3072
INTERVAL = [200, 700]


def samplers(guided: bool) -> dict[str, Sampler]:
    """What is compared; guidance where the model was made for it."""
    found: dict[str, Sampler] = {"DDIM 50": DDIM(50), "DPM-Solver++ 15": DPMSolverPP(15)}
    if guided:
        found["DDIM 50, guidance 2"] = DDIM(50, guidance=2.0)
        found["DPM-Solver++ 15, guidance 2"] = DPMSolverPP(15, guidance=2.0)
        found["DPM-Solver++ 15, guidance 2 in [200, 700]"] = DPMSolverPP(15, guidance=2.0, guidance_interval=INTERVAL)
    return found


def drawing(module: FewShotDiffusion, sampler: Sampler, images: int, precision: Precision) -> Callable[[], object]:
    """A function that draws so many images of one support set."""
    support = torch.rand(1, module.n_shot, module.channels, module.image_size, module.image_size) * 2 - 1

    def draw() -> object:
        with in_precision(precision):
            return module.sample(support, images, torch.Generator().manual_seed(0), sampler)

    return draw


def main() -> None:
    """Print the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="glyphs.yaml")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", nargs="+", choices=OF_THE_CPU, default=["float32"])
    arguments = parser.parse_args()

    torch.manual_seed(0)
    module = load_config(arguments.config).eval()
    work: dict[str, Callable[[], object]] = {}
    flop: dict[str, int] = {}
    for precision in arguments.precision:
        work[f"{precision}: matmul"] = matrix_product(MATRIX, precision)
        flop[f"{precision}: matmul"] = 2 * MATRIX**3
        for name, sampler in samplers(module.context_dropout > 0).items():
            work[f"{precision}: {name}"] = drawing(module, sampler, arguments.images, precision)
            with FlopCounterMode(display=False) as counter:
                drawing(module, sampler, 1, precision)()
            flop[f"{precision}: {name}"] = counter.get_total_flops() * arguments.images
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in tqdm(range(arguments.rounds), desc="rounds"):
        for name, call in work.items():
            times[name].append(seconds(call))
    rates = {name: flop[name] / statistics.median(spent) for name, spent in times.items()}
    found = {
        name: {
            "images_per_second": arguments.images / statistics.median(times[name]),
            "gflop_per_image": flop[name] / arguments.images / 1e9,
            "fraction_of_peak": rate / rates[f"{name.split(':')[0]}: matmul"],
        }
        for name, rate in rates.items()
        if not name.endswith("matmul")
    }
    print(json.dumps({"samplers": found, "threads": torch.get_num_threads()}, indent=1))


if __name__ == "__main__":
    main()
