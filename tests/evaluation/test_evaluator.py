"""Whole evaluations: what is said of classes of every size and of parts that fail, and what decides the values."""

import math
import warnings

import pytest
import torch

from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.failure import EvaluationError
from lightning_nsd.metrics.distances import NAN
from lightning_nsd.metrics.originality import Originality
from lightning_nsd.processes.group import Processes
from tests.evaluation.conftest import (
    FAILS,
    MEANS,
    FailsInTheThirdClass,
    Means,
    SizedData,
    evaluate,
    make_evaluator,
    make_module,
    make_report,
    run,
)

SIZES = {"wolf": 600, "bee": 7, "elm": 2, "ray": 1, "cup": 0}
FIVE = dict.fromkeys("abcde", 12)


def test_classes_of_every_size_with_1024_asked(tmp_path):
    with pytest.warns(UserWarning, match="wolf") as warned:
        rows, found = evaluate(tmp_path, SIZES, num_samples=1024)
    assert {name: (int(row["images"]), int(row["n"])) for name, row in rows.items()} == {
        "wolf": (600, 600), "bee": (7, 7), "elm": (2, 2), "ray": (1, 0), "cup": (0, 0),
    }  # fmt: skip
    distances = {name: float(row["fd_means"]) for name, row in rows.items()}
    assert {name for name, value in distances.items() if math.isnan(value)} == {"ray", "cup"}
    assert {name for name, row in rows.items() if float(row["precision"]) >= 0} == {"wolf", "bee"}
    halves = {"wolf": 300, "bee": 3, "elm": 0, "ray": 0, "cup": 0}
    assert {name: int(row["floor_n"]) for name, row in rows.items()} == halves
    assert rows["ray"]["reason"] == "1 images; a distance needs at least 2 (min_samples)"
    assert rows["cup"]["reason"] == "the class has no images"
    assert found["summary"]["failed"] == 0
    assert found["summary"]["mean"] == pytest.approx(sum(distances[name] for name in ("wolf", "bee", "elm")) / 3)
    assert (found["summary"]["n_min"], found["summary"]["n_max"]) == (2, 600)
    said = [str(warning.message) for warning in warned]
    for once in (
        "of wolf (val): the class has 600 images, 1024 were asked for; 600",
        "of bee (val): the class has 7 images",
        "of ray (val) is NaN: 1 images",
        "of cup (val) is NaN: the class has no images",
        "mean and median mix them",
    ):
        assert len([text for text in said if once in text]) == 1, once


def test_a_warning_is_not_repeated_at_the_next_evaluation():
    evaluator = make_evaluator()
    run(evaluator, {"bee": 7})
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        run(evaluator, {"bee": 7})
    assert not [warning for warning in warned if "bee" in str(warning.message)]


# ---- what fails ----


@pytest.fixture(autouse=True)
def _count_again():
    FailsInTheThirdClass.arm(len(FIVE))


def test_an_extractor_that_raises_in_the_third_class(tmp_path, caplog):
    rows, found = evaluate(tmp_path, FIVE, extractor=FAILS)
    assert [name for name, row in rows.items() if math.isnan(float(row["fd_failsinthethirdclass"]))] == ["c"]
    assert rows["c"]["reason"] == "RuntimeError: out of memory, say"
    assert found["summary"]["failed"] == 1
    assert found["complete"]
    assert "The class c (val) could not be compared" in caplog.text
    assert "Traceback" in caplog.text and "in forward" in caplog.text


def test_strict_raises():
    with pytest.raises(EvaluationError, match="c: RuntimeError: out of memory, say") as raised:
        run(make_evaluator(extractor=FAILS, strict=True), FIVE)
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_an_extractor_that_cannot_be_loaded_is_the_reason_of_every_class():
    missing = {"extractor": "inception", "extractor_args": {"weights_path": "nosuch.pth"}}
    report = run(make_evaluator(**missing), FIVE)
    assert report.summary()["failed"] == 5
    assert all("no weights at" in row.reason and row.n == 0 for row in report.rows)
    with pytest.raises(EvaluationError, match="no weights at"):
        run(make_evaluator(**missing, strict=True), FIVE)


def test_a_model_that_samples_no_numbers_is_a_failure_of_its_classes():
    module = make_module()
    for parameter in module.ema.parameters():
        parameter.data.fill_(math.nan)
    report = make_evaluator().run(module, SizedData(FIVE), "val", 0, Processes())
    assert report.summary()["failed"] == 5
    assert {row.reason for row in report.rows} == {"ValueError: the model drew values that are not finite"}


def said_of(report):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        make_evaluator()._say_what_to_trust(report)
    return " ".join(str(warning.message) for warning in warned)


@pytest.mark.parametrize("space", ["originality", "pixels"])
def test_copies_are_an_alarm(space):
    report = make_report([1.0, 2.0, 3.0])
    assert said_of(report) == ""
    for number, part in enumerate((0.5, 0.08, 0.25)):
        report.rows[number] = report.rows[number]._replace(**{space: Originality(0.1, 0.1, part)})
    assert "copies! In class 0, class 2 more than 10% of the images, and up to 50%, lie closer" in said_of(report)


@pytest.mark.parametrize(
    ("distance", "floor", "alarm"), [(1e-5, 0.125, True), (1e-3, 0.125, False), (0.0, NAN, True), (1e-4, NAN, False)]
)
def test_a_distance_that_cannot_be_is_an_alarm(distance, floor, alarm):
    report = make_report([5.0, distance])
    report.rows[1] = report.rows[1]._replace(distances=report.rows[1].distances._replace(floor=floor))
    assert ("of class 1 is too small to be a distance" in said_of(report)) is alarm


def test_classes_that_no_split_has_are_an_error():
    with pytest.raises(UserError, match="no class nosuch"):
        make_evaluator(classes=["nosuch"]).populations(SizedData(FIVE), "val")


# ---- what decides the values ----


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    found = []
    for number, seed in enumerate((0, 0, 1)):
        torch.manual_seed(number)
        found.append(run(make_evaluator(), {"a": 30, "b": 12}, {"eval_seed": seed}).table())
    first, again, other = map(repr, found)  # which is the same of NaN
    assert first == again != other


def test_the_moving_average_is_sampled_from():
    module = make_module()
    for parameter in module.model.parameters():
        parameter.data.fill_(float("nan"))
    report = make_evaluator().run(module, SizedData({"a": 12}), "val", 0, Processes())
    assert report.summary()["failed"] == 0


def test_the_classes_may_be_a_list_or_a_seeded_number():
    sizes = dict.fromkeys("abcdefgh", 12)
    assert [row.name for row in run(make_evaluator(classes=["g", "b"]), sizes).rows] == ["b", "g"]
    chosen = [
        {row.name for row in run(make_evaluator(classes=3), sizes, {"eval_seed": seed}).rows} for seed in (0, 0, 1)
    ]
    assert len(chosen[0]) == 3
    assert chosen[0] == chosen[1] != chosen[2]


def test_the_images_of_classes_are_handed_over_by_their_row_and_those_of_mixtures_are_not():
    evaluator, handed = make_evaluator(mixture_samples=20), {}
    evaluator.on_images = handed.__setitem__
    report = run(evaluator, {"a": 12, "alone": 1, "b": 5})
    assert {number: (report.rows[number].name, len(images)) for number, images in handed.items()} == {
        0: ("a", 12), 2: ("b", 5),
    }  # fmt: skip
    assert all(torch.equal(report.rows[number].strip, images[:8]) for number, images in handed.items())


def test_mixtures_are_of_the_training_and_of_the_held_out_classes():
    report = run(make_evaluator(mixture_samples=20), {"a": 12, "b": 16})
    assert [(row.name, row.available, row.n) for row in report.mixture] == [
        ("mixture_in", 28, 20), ("mixture_out", 28, 20),
    ]  # fmt: skip
    assert report.mixture[0].distances != report.mixture[1].distances
    assert all(math.isnan(row.recognised) and math.isnan(row.pixels.originality) for row in report.mixture)
    assert all(0 <= row.recognised <= 1 and row.pixels.originality > 0 for row in report.rows)


def watch_extractor(kind, evaluations):
    """The images that an extractor gets while something runs."""
    seen = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0]) if isinstance(module, kind) else None
    )
    try:
        evaluations()
    finally:
        hook.remove()
    return seen


@pytest.mark.parametrize("name", [MEANS, FAILS])
def test_the_extractor_is_a_module_from_bytes(name):
    seen = watch_extractor(Means, lambda: run(make_evaluator(extractor=name), {"a": 12}))
    assert {images.dtype for images in seen} == {torch.uint8}


def test_the_second_evaluation_takes_real_features_from_the_disk():
    seen = watch_extractor(Means, lambda: [run(make_evaluator(), {"a": 12, "b": 12}) for _ in range(2)])
    assert len(seen) == (2 + 4) + 4  # real images once; generated ones and examples each time
