"""Rung 7."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest
import torch
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from jax_reference.metrics import distances as their_distances
from jax_reference.metrics import inception_scores as their_scores
from jax_reference.metrics import originality as their_originality
from jax_reference.metrics import recognisability as their_recognisability
from jax_reference.metrics.frechet import check_features, frechet_distance
from jax_reference.metrics.kernel import kernel_distance
from jax_reference.written_out import inception_blocks
from jax_reference.written_out.inception import InceptionV3
from jax_reference.written_out.inception_blocks import max_pool
from jax_reference.written_out.resize import resize_like_tensorflow1
from lightning_nsd.extractors import Extractor
from lightning_nsd.extractors.inception import ClassAndSpatialFeatures
from lightning_nsd.metrics import distances as our_distances
from lightning_nsd.metrics import inception_scores as our_scores
from lightning_nsd.metrics import originality as our_originality
from lightning_nsd.metrics import recognisability as our_recognisability
from parity_tests.check import Check
from parity_tests.compare import relative_error
from parity_tests.pairing.arrays import to_jax, to_numpy
from parity_tests.rungs import metric
from parity_tests.tolerances import DTYPES, Dtype

Inceptions = tuple[Extractor, InceptionV3]
SIDES = [(our_distances, torch.from_numpy), (their_distances, to_jax)]
ORIGINALITIES = [(our_originality, torch.from_numpy), (their_originality, to_jax)]
RECOGNISABILITIES = [(our_recognisability, torch.from_numpy), (their_recognisability, to_jax)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_resizing_distances_and_readings_agree(dtype: Dtype) -> None:
    for check in (metric.resizing(dtype), *metric.distances(dtype), *metric.scores(dtype), *metric.readings(dtype)):
        check.require()


@pytest.mark.parametrize("n", [9, 24, 60])
def test_the_references_distance_of_a_set_from_itself_is_zero(n: int) -> None:
    a, _ = metric.two_sets(n, n, "float64")
    assert frechet_distance(a, a) < 1e-10


def test_the_reference_computes_distances_in_float64_whatever_jax_is_set_to() -> None:
    real, generated = metric.two_sets(20, 9, "float32")
    found = their_distances.measure(real, generated)
    with jax.enable_x64(False):
        assert their_distances.measure(real, generated) == found


@pytest.mark.parametrize(("module", "convert"), SIDES, ids=["torch", "JAX"])
def test_what_needs_four_images_is_nan_for_three(module: ModuleType, convert: object) -> None:
    found = module.measure(*map(convert, metric.two_sets(3, 3, "float64")))  # type: ignore[call-overload]
    assert np.isfinite([found.fid, found.kid]).all()
    assert np.isnan([found.precision, found.recall, found.floor]).all() and found.floor_n == 0


@pytest.mark.parametrize(("module", "convert"), ORIGINALITIES, ids=["torch", "JAX"])
def test_an_originality_that_cannot_be_told_is_nan(module: ModuleType, convert: Callable[..., Any]) -> None:
    generated, support, owner, real = map(convert, metric.drawings("float64"))
    one_each = module.measure_originality(generated[1:4], support, owner[1:4], real[:2])  # of sets 1, 2 and 2
    assert np.isfinite(one_each).all()
    one_each = module.measure_originality(generated[:3], support, owner[:3], real[:2])
    assert np.isnan(one_each.diversity) and np.isfinite([one_each.originality, one_each.copies]).all()
    alike = module.measure_originality(generated, support, owner, real[-2:])
    assert np.isnan([alike.diversity, alike.copies]).all() and np.isfinite(alike.originality)
    copied = module.measure_originality(generated, real[-2:].reshape(1, 2, -1), 0 * owner, real[-2:])
    assert np.isnan(copied).all()


@pytest.mark.parametrize(("module", "convert"), RECOGNISABILITIES, ids=["torch", "JAX"])
def test_nothing_is_recognised_where_there_is_no_other_class(module: ModuleType, convert: Callable[..., Any]) -> None:
    real, generated, others = map(convert, metric.near_other_classes(5, 5, "float64"))
    assert np.isnan(module.recognisability(real, generated, others[:0])).all()


@pytest.mark.parametrize(("rows", "add", "message"), [(1, 0.0, "at least 2 images"), (5, np.nan, "not finite")])
def test_both_sides_refuse_to_read_the_same(rows: int, add: float, message: str) -> None:
    for module, convert in ORIGINALITIES:
        generated, support, owner, real = metric.drawings("float64")
        for changed in (
            (generated[:rows] + add, support, owner[:rows], real),
            (generated, support[:rows, :rows] + add, owner, real),
            (generated, support, owner, real[:rows] + add),
        ):
            with pytest.raises(ValueError, match=message):
                module.measure_originality(*map(convert, changed))
    for module, convert in RECOGNISABILITIES:
        real, generated, others = metric.near_other_classes(5, 5, "float64")
        for sets in ((real[:rows] + add, generated, others), (real, generated[:rows] + add, others)):
            with pytest.raises(ValueError, match=message):
                module.recognisability(*map(convert, sets))


@pytest.mark.parametrize(("module", "convert"), [(our_scores, torch.from_numpy), (their_scores, to_jax)])
def test_scores_of_too_few_images_are_nan_and_of_no_numbers_an_error(module: ModuleType, convert: Any) -> None:
    some = convert(np.zeros((499, 499)))
    assert np.isnan(module.measure_scores(some, some, 9)).tolist() == [True, False]
    assert np.isnan(module.spatial_frechet_distance(some, some))
    with pytest.raises(ValueError, match="not finite"):
        module.inception_score(convert(np.full((500, 3), np.nan)))


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "at least 2 images; got 1 and 5"),
        (np.zeros((5, 3)), np.full((5, 3), np.nan), "not finite"),
    ],
)
def test_the_reference_refuses_what_cannot_be_compared(
    distance: object, a: np.ndarray, b: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        distance(a, b)  # type: ignore[operator]


def test_the_reference_refuses_features_of_two_widths() -> None:
    with pytest.raises(ValueError, match=r"\(5, 2\) and \(5, 3\)"):
        check_features(np.zeros((5, 2)), np.zeros((5, 3)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [31, 75, 299, 400])
def test_tensorflows_resizing_agrees(size: int, dtype: Dtype) -> None:
    given = 255 * np.random.default_rng(0).uniform(size=(1, 3, 32, 310)).astype(dtype)
    left = interpolate_bilinear_2d_like_tensorflow1x(torch.from_numpy(given), (size, size), align_corners=False)
    right = resize_like_tensorflow1(to_jax(given), size)
    Check("metric", "resizing", dtype, {"images": relative_error(to_numpy(left), to_numpy(right))}).require()


@pytest.fixture(scope="module")
def inceptions() -> Inceptions:
    return metric.inceptions("float64")


@pytest.mark.smoke
def test_inceptions_features_and_the_output_of_every_layer_agree(inceptions: Inceptions) -> None:
    check = metric.features(*inceptions, metric.images(32), "float64")
    assert len(check.errors) == 3 * 94 + 11 + 1  # convolutions, BatchNorms, both with ReLU, blocks, the network
    check.require()


def test_inceptions_features_agree_with_tensorflows_resizing(
    inceptions: Inceptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = inceptions
    monkeypatch.setattr(ours.network, "use_antialias", False)
    monkeypatch.setattr(theirs, "resize", "tf1")
    metric.features(ours, theirs, metric.images(40, channels=1), "float64").require()


@pytest.mark.smoke
def test_tf1_is_torch_fidelitys_resizing() -> None:
    extractor = metric.our_inception("float64", "tf1")
    seen: list[torch.Tensor] = []
    extractor.network.get_submodule("Conv2d_1a_3x3").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for size in (16, 400):
        given = torch.from_numpy(metric.images(size))
        extractor(given)
        resized = interpolate_bilinear_2d_like_tensorflow1x(given.double(), (299, 299), align_corners=False)
        torch.testing.assert_close(seen.pop(), (resized - 128) / 128, rtol=0, atol=0)


def mean_of_nine(x: jax.Array) -> jax.Array:
    """An average pool in which the padding counts."""
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 1, 3, 3), (1, 1, 1, 1), "SAME") / 9


@pytest.mark.parametrize(
    ("name", "replaced", "module"),
    [
        ("BATCH_NORM_EPS", 1e-5, "Conv2d_1a_3x3.bn"),
        ("average_pool", mean_of_nine, "Mixed_5b.branch_pool.conv"),
        (
            "max_pool",
            lambda x, stride, padding=0: max_pool(x, stride) if stride > 1 else x,
            "Mixed_7c.branch_pool.conv",
        ),
    ],
)
def test_another_network_is_noticed_and_its_first_other_module_named(
    inceptions: Inceptions, monkeypatch: pytest.MonkeyPatch, name: str, replaced: object, module: str
) -> None:
    monkeypatch.setattr(inception_blocks, name, replaced)
    assert metric.features(*inceptions, metric.images(32), "float64").first_failure == module


def test_different_images_have_different_features(inceptions: Inceptions) -> None:
    with torch.no_grad():
        first, second = inceptions[0](torch.from_numpy(metric.images(32)))
    assert (first - second).std() > 0.1 * first.std()


def test_class_scores_and_spatial_features_are_the_networks_own(inceptions: Inceptions) -> None:
    """Its last layer without bias, and seven channels of the block that the reference is held to above."""
    network: Any = inceptions[0].network
    given, seen = torch.from_numpy(metric.images(32)), []
    hook = network.Mixed_6d.branch1x1.register_forward_hook(lambda _, inputs, output: seen.append(output))
    network.features_list = ["logits_unbiased"]
    with torch.no_grad():
        found = ClassAndSpatialFeatures(network)(given)
        network.features_list = ["2048"]
        pooled = network(given)
    hook.remove()
    assert found.shape == (2, our_scores.CLASSES + 2023)
    torch.testing.assert_close(found[:, : our_scores.CLASSES], pooled @ network.fc.weight.T)
    assert torch.equal(found[:, our_scores.CLASSES :], seen[0][:, :7].flatten(1))
    assert seen[0].shape == (2, 192, 17, 17)


@pytest.mark.campaign
def test_inceptions_features_agree_in_single_precision() -> None:
    metric.features(*metric.inceptions("float32"), metric.images(32), "float32").require()
