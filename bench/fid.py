"""Distances of all classes from features on: time and peak memory beside torchmetrics, in one run.

    python bench/fid.py [--classes 20] [--images 600] [--dim 2048]

For every class there are `images` real and `images` given features of `dim` numbers (random, correlated, so that no
network is timed). Ours is `frechet_distance`; theirs is one `FrechetInceptionDistance(2048)` per class, kept as an
evaluation keeps them: all classes are updated, then all are computed. Each side runs in a process of its own, so that
its peak memory is its own. A second part times the whole metric with an extractor: the first evaluation, which computes
the real images' features, and the second, which reads them from the disk.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from one_step import peak_memory
from own_process import within
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from tqdm import tqdm

from lightning_nsd.evaluation.feature_distances import FeatureDistances
from lightning_nsd.extractors import build_extractor
from lightning_nsd.extractors.feature_cache import FeatureCache
from lightning_nsd.metrics.frechet import frechet_distance

LONG = 3600.0
"""Seconds after which a side is given up."""


class Given(nn.Module):
    """Takes features for images, so that torchmetrics computes from features on."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.num_features = dim

    def forward(self, x: Tensor) -> Tensor:
        """`(n, d)` as it is."""
        return x


def make_features(classes: int, images: int, dim: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Real and given features `(images, dim)` of every class, float32 as an extractor gives them, one at a time."""
    rng = torch.Generator().manual_seed(0)
    mix = torch.randn(64, dim, generator=rng)
    for _ in range(classes):
        noise = [torch.randn(images, dim, generator=rng) for _ in range(2)]
        common = [torch.randn(images, 64, generator=rng) @ mix for _ in range(2)]
        yield (common[0] + noise[0]).relu(), (1.1 * common[1] + noise[1] + 0.1).relu()


def ours(classes: int, images: int, dim: int) -> list[float]:
    """The nuclear-norm form; a class's features are gone before the next one's come."""
    features = make_features(classes, images, dim)
    return [frechet_distance(*pair) for pair in tqdm(features, total=classes, desc="ours")]


def theirs(classes: int, images: int, dim: int) -> list[float]:
    """torchmetrics, one metric per class."""
    metrics = []
    for real, given in make_features(classes, images, dim):
        metric = FrechetInceptionDistance(Given(dim), normalize=True).set_dtype(torch.float64)
        metric.update(real, real=True)
        metric.update(given, real=False)
        metrics.append(metric)
    return [float(metric.compute()) for metric in tqdm(metrics, desc="torchmetrics")]


def baseline(classes: int, images: int, dim: int) -> list[float]:
    """The features alone: the memory and time that belong to neither side."""
    return [float((real - given).sum()) for real, given in make_features(classes, images, dim)]


SIDES = {"features": baseline, "ours": ours, "torchmetrics": theirs}


def measured(name: str, arguments: tuple[int, int, int]) -> dict[str, Any]:
    """In a process of its own: values, seconds, seconds of processor time, and MiB beyond what libraries take."""
    before, start, processor = peak_memory(), time.perf_counter(), time.process_time()
    values = SIDES[name](*arguments)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor
    return {"values": values, "seconds": seconds, "processor": processor_seconds, "memory": peak_memory() - before}


def run_alone(name: str, arguments: tuple[int, int, int]) -> dict[str, Any]:
    """Run one side in a fresh process.

    Raises:
        SystemExit: it failed.
    """
    found = within(LONG, measured, name, arguments)
    if found is None or "error" in found:
        raise SystemExit(f"{name}: {'it took too long' if found is None else found['error']}.")
    return found


def evaluations(extractor_name: str, classes: int, images: int) -> dict[str, float]:
    """Processor seconds of the whole metric, first and second evaluation of some classes of 32 × 32 images."""
    extractor = build_extractor(extractor_name)
    rng = torch.Generator().manual_seed(0)
    shape = (images, 3, 32, 32)
    sets = [[torch.randint(256, shape, generator=rng).to(torch.uint8) for _ in range(2)] for _ in range(classes)]
    extractor.features(sets[0][0][:64])  # warm up
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "second"):
            start = time.process_time()
            for real, given in tqdm(sets, desc=f"{name} evaluation"):
                metric = FeatureDistances(extractor, FeatureCache(Path(folder)), sync_on_compute=False)
                metric.update(real, real=True)
                metric.update(given, real=False)
                metric.compute()
            seconds[name] = time.process_time() - start
    return seconds


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--extractor", default="efficientnet_lite0")
    parser.add_argument("--extractor_classes", type=int, default=2, help="classes of the second part, 0 for none")
    arguments = parser.parse_args()

    size = (arguments.classes, arguments.images, arguments.dim)
    results = {name: run_alone(name, size) for name in SIDES}
    base = results["features"]
    found: dict[str, object] = {"classes": arguments.classes, "images": arguments.images, "dim": arguments.dim}
    seconds, processor, memory = {}, {}, {}
    for name in ("ours", "torchmetrics"):
        seconds[name], processor[name], memory[name] = (
            results[name][what] - base[what] for what in ("seconds", "processor", "memory")
        )
        found[name] = {"seconds": seconds[name], "processor_seconds": processor[name], "peak_MiB": memory[name]}
    pairs = zip(results["ours"]["values"], results["torchmetrics"]["values"], strict=True)
    found["times_faster"] = seconds["torchmetrics"] / seconds["ours"]
    found["times_less_processor_time"] = processor["torchmetrics"] / processor["ours"]
    found["part_of_memory"] = memory["ours"] / memory["torchmetrics"]
    found["largest_relative_difference"] = max(abs(a / b - 1) for a, b in pairs)
    found["mean_distance"] = statistics.fmean(results["ours"]["values"])
    if arguments.extractor_classes:
        times = evaluations(arguments.extractor, arguments.extractor_classes, arguments.images)
        found["evaluation_processor_seconds"] = {"extractor": arguments.extractor, **times}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
