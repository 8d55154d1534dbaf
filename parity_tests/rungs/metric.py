"""Rung 7: Inception's features of the same images with the same random weights, and distances of the same features."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from flax import nnx
from torch import nn
from torchmetrics.image.fid import NoTrainInceptionV3

from jax_reference.metrics import confidence as their_confidence
from jax_reference.metrics import distances as their_distances
from jax_reference.metrics import frechet as their_frechet
from jax_reference.metrics import inception_scores as their_scores
from jax_reference.metrics import kernel as their_kernel
from jax_reference.metrics import originality as their_originality
from jax_reference.metrics import precision_recall as their_precision_recall
from jax_reference.metrics import recognisability as their_recognisability
from jax_reference.written_out import resize as their_resize
from jax_reference.written_out.inception import InceptionV3
from lightning_nsd.accelerators.device import run_recorded
from lightning_nsd.extractors import inception
from lightning_nsd.extractors.extractor import Extractor
from lightning_nsd.extractors.extractor import resize as our_resize
from lightning_nsd.metrics import confidence as our_confidence
from lightning_nsd.metrics import distances as our_distances
from lightning_nsd.metrics import frechet as our_frechet
from lightning_nsd.metrics import inception_scores as our_scores
from lightning_nsd.metrics import kernel as our_kernel
from lightning_nsd.metrics import originality as our_originality
from lightning_nsd.metrics import precision_recall as our_precision_recall
from lightning_nsd.metrics import recognisability as our_recognisability
from lightning_nsd.rng import philox
from parity_tests.backends import torch_device
from parity_tests.check import Check
from parity_tests.compare import errors_of, relative_error
from parity_tests.pairing.arrays import to_jax, to_numpy
from parity_tests.pairing.jax_sides.nnx_side import recording as recording_jax
from parity_tests.pairing.random_weights import randomize
from parity_tests.pairing.torch_side import recording as recording_torch
from parity_tests.rungs.model import by_depth
from parity_tests.tolerances import Dtype
from parity_tests.weights import copy_weights

Distance = Callable[..., Any]
Case = tuple[tuple[np.ndarray, ...], tuple[int, ...]]

FEATURES = 24
SIZES = ((2, 2), (9, 9), (23, 23), (24, 24), (25, 25), (60, 60), (9, 60), (60, 9), (24, 60))  # n and m about FEATURES
SUBSET_SIZES = (9, 1000)


def randomize_inception(network: nn.Module) -> None:
    """Random weights and BatchNorm statistics under which features depend on the image.

    A ReLU loses half of the power, which the weights make up for: after 47 of them biases would be all that is left.
    """
    randomize(network, 7)
    for index, module in enumerate(network.modules()):
        if isinstance(module, nn.Conv2d):
            module.weight.data *= 2**0.5
        elif isinstance(module, nn.BatchNorm2d):
            draw = torch.from_numpy(philox(8, index).uniform(size=(2, module.num_features)))
            module.running_mean, module.running_var = 0.4 * draw[0] - 0.2, 0.5 + draw[1]


def our_inception(dtype: Dtype, resize: inception.Resize = "antialias") -> Extractor:
    """lightning_nsd's extractor, built as ever but for random weights in place of a file's.

    Its dtype is set as torchmetrics sets it, which is why no image passes through float32 on the way.
    """
    with (
        patch.object(inception, "check_weights"),
        patch.object(torch, "load", return_value={}),
        patch.object(NoTrainInceptionV3, "load_state_dict"),
    ):
        extractor = inception.build("random weights", resize)
    randomize_inception(extractor.network)
    extractor.network._dtype = torch_dtype = getattr(torch, dtype)
    return extractor.to(torch_dtype)


def inceptions(dtype: Dtype, backend: str = "torch") -> tuple[Extractor, InceptionV3]:
    """The network in both frameworks, with the same weights; torch's where `backend` computes."""
    ours = our_inception(dtype)
    theirs = nnx.eval_shape(lambda: InceptionV3(rngs=nnx.Rngs(0)))
    network: Any = ours.network
    copy_weights(network, theirs)
    return ours.to(torch_device(backend)), theirs


def images(size: int, channels: int = 3) -> np.ndarray:
    """Two images of bytes with black and white pixels, `(2, 3, size, size)`: one of noise, one smooth."""
    random = philox(9, size)
    noise = random.integers(-64, 320, (channels, size, size))
    x, y = np.meshgrid(*2 * [np.linspace(0, 3, size)])
    waves = np.stack([128 + 160 * np.sin(x + channel) * np.cos(2 * y - channel) for channel in range(channels)])
    both = np.clip(np.stack([noise, waves]), 0, 255).astype(np.uint8)
    return both if channels == 3 else both.repeat(3, axis=1)


@torch.no_grad()
def features(ours: Extractor, theirs: InceptionV3, given: np.ndarray, dtype: Dtype) -> Check:
    """Every module's output in forward order, and the features."""
    device = next(ours.parameters()).device
    with recording_torch(ours.network) as our_calls:
        ours(torch.from_numpy(given).to(device))
        run_recorded(device)
    with recording_jax(theirs) as their_calls:
        theirs(to_jax(given))
    return Check("metric", f"Inception's features of {given.shape} bytes", dtype, by_depth(our_calls, their_calls))


def resizing(dtype: Dtype) -> Check:
    """Smaller, larger, and smaller in one direction alone."""
    errors: dict[str, float] = {}
    for height, width, size in ((32, 32, 75), (90, 70, 31), (20, 60, 40), (32, 32, 32)):
        given = 255 * philox(10, height).uniform(size=(2, 3, height, width)).astype(dtype)
        left, right = our_resize(torch.from_numpy(given), size), their_resize.resize(to_jax(given), size)
        errors[f"{height} × {width} to {size}"] = relative_error(to_numpy(left), to_numpy(right))
    return Check("metric", "resizing", dtype, errors)


def two_sets(n: int, m: int, dtype: Dtype) -> tuple[np.ndarray, np.ndarray]:
    """Features `(n, d)` and `(m, d)` that are correlated, of different means and deviations."""
    mix = philox(11).standard_normal((FEATURES, FEATURES)) / FEATURES**0.5
    a, b = (philox(12, index).standard_normal((rows, FEATURES)) @ mix for index, rows in enumerate((n, m)))
    return a.astype(dtype), (1.3 * b + 0.4).astype(dtype)


def compare(what: str, dtype: Dtype, ours: Distance, theirs: Distance, cases: Mapping[str, Case]) -> Check:
    """One function of sets of features on both sides, for every case: its sets, and its other arguments."""
    left = {name: np.array(ours(*map(torch.from_numpy, sets), *more)) for name, (sets, more) in cases.items()}
    right = {name: np.array(theirs(*map(to_jax, sets), *more)) for name, (sets, more) in cases.items()}
    return Check("metric", what, dtype, errors_of(left, right))


def distances(dtype: Dtype) -> Iterator[Check]:
    """Of fewer images than features, as many, and more."""
    sets = {f"n = {n}, m = {m}": two_sets(n, m, dtype) for n, m in SIZES}
    alone: dict[str, Case] = {name: (pair, ()) for name, pair in sets.items()}
    frechet = our_frechet.frechet_distance, their_frechet.frechet_distance
    yield compare(f"Fréchet distance, d = {FEATURES}", dtype, *frechet, alone)
    subsets: dict[str, Case] = {
        f"{name}, subsets of {size}": (pair, (size,)) for name, pair in sets.items() for size in SUBSET_SIZES
    }
    kernel = our_kernel.kernel_distance, their_kernel.kernel_distance
    yield compare("kernel distance", dtype, *kernel, subsets)
    neighbours = our_precision_recall.precision_recall, their_precision_recall.precision_recall
    enough = {name: case for name, case in alone.items() if len(case[0][0]) > our_precision_recall.NEIGHBOURHOOD}
    yield compare("precision and recall", dtype, *neighbours, enough)
    error = our_confidence.frechet_error, their_confidence.frechet_error
    several = {name: case for name, case in alone.items() if min(map(len, case[0])) >= our_confidence.LEAST_IMAGES}
    yield compare("standard error of the Fréchet distance", dtype, *error, several)
    infinity = our_confidence.frechet_at_infinity, their_confidence.frechet_at_infinity
    many: dict[str, Case] = {f"n = {n}, m = {m}": (two_sets(n, m, dtype), ()) for n, m in ((30, 30), (47, 60))}
    yield compare("Fréchet distance at infinity", dtype, *infinity, many)
    classes: dict[str, Case] = {  # of fewer images the distance at infinitely many would be NaN
        f"30 generated, {real} real": (two_sets(real, 30, dtype), ()) for real in (30, 40, 60, 100)
    }
    yield compare("all that is said about a class", dtype, our_distances.measure, their_distances.measure, classes)


def scores(dtype: Dtype) -> Iterator[Check]:
    """Inception score of one part and of several, of uneven sizes; sFID of just enough images for it."""
    logits = philox(15).normal(0, 2, (5001, 7)).astype(dtype)
    cases: dict[str, Case] = {f"n = {n}": ((logits[:n],), ()) for n in (500, 1001, 5001)}
    yield compare("Inception score", dtype, our_scores.inception_score, their_scores.inception_score, cases)
    enough = ((25, 25), (25, 60))
    sets: dict[str, Case] = {f"n = {n}, m = {m}": (two_sets(n, m, dtype), ()) for n, m in enough}
    spatial = our_scores.spatial_frechet_distance, their_scores.spatial_frechet_distance
    yield compare(f"sFID, d = {FEATURES}", dtype, *spatial, sets)
    more = two_sets(700, 500, dtype)
    both = our_scores.measure_scores, their_scores.measure_scores
    yield compare("Inception score and sFID", dtype, *both, {"500 of 700": (more, (9,))})


def drawings(dtype: Dtype) -> tuple[np.ndarray, ...]:
    """Generated features `(9, d)`, examples `(3, 2, d)`, their owners `(9,)`, and real features `(12, d)`.

    Every example is a real image, one real image is there twice, and one generated image in three is near an example.
    """
    generated, real = two_sets(9, 11, dtype)
    owner, support = np.array([0, 1, 2, 2, 0, 1, 0, 0, 1]), real[:6].reshape(3, 2, FEATURES)
    generated[::3] = support[owner[::3], 1] + 0.01 * generated[::3]
    return generated, support, owner, np.concatenate([real, real[-1:]])


def near_other_classes(n: int, m: int, dtype: Dtype) -> tuple[np.ndarray, ...]:
    """Features of real `(n, d)` and generated images `(m, d)`, and the means of five other classes `(5, d)`.

    They are as near as it takes for a real image that is left out of its own mean to be read as another class.
    """
    real, generated = two_sets(n, m, dtype)
    return real, generated, real.mean(axis=0) + 0.5 * generated[:5]


def readings(dtype: Dtype) -> Iterator[Check]:
    """Whether images are copies, and whether they are recognised."""
    ours, theirs = our_originality.measure_originality, their_originality.measure_originality
    yield compare("originality, diversity, copies", dtype, ours, theirs, {"twelve images": (drawings(dtype), ())})
    cases: dict[str, Case] = {
        f"n = {n}, m = {m}": (near_other_classes(n, m, dtype), ()) for n, m in ((2, 9), (9, 60), (60, 24))
    }
    both = our_recognisability.recognisability, their_recognisability.recognisability
    yield compare("recognisability", dtype, *both, cases)


def check(dtype: Dtype, size: int, channels: int, backend: str = "torch") -> Iterator[Check]:
    """The whole rung, for images of a config's size and channels; distances are computed on the CPU everywhere."""
    yield resizing(dtype)
    yield features(*inceptions(dtype, backend), images(size, channels), dtype)
    yield from distances(dtype)
    yield from scores(dtype)
    yield from readings(dtype)
