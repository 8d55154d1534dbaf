"""Small classes and broken parts cost a value, never the run, and never without a word."""

import math
import warnings

import pytest
import torch

from lightning_nsd.callbacks.per_class_fid import PerClassFID
from lightning_nsd.errors import UserError
from lightning_nsd.evaluation.failure import EvaluationError
from lightning_nsd.metrics.frechet import frechet_distance
from tests.callbacks.conftest import (
    MEANS,
    N_SHOT,
    SIZES,
    Means,
    SizedData,
    evaluate,
    make_callback,
    make_module,
    make_trainer,
    read_tables,
)
from tests.training.conftest import run


def test_classes_of_every_size_with_1024_asked(tmp_path):
    with pytest.warns(UserWarning, match="wolf") as warned:
        rows, found = evaluate(tmp_path, SIZES, num_samples=1024)
    assert {name: (int(row["images"]), int(row["n"])) for name, row in rows.items()} == {
        "wolf": (600, 600), "bee": (7, 7), "elm": (2, 2), "ray": (1, 0), "cup": (0, 0),
    }  # fmt: skip
    distances = {name: float(row["fd_means"]) for name, row in rows.items()}
    assert {name for name, value in distances.items() if math.isnan(value)} == {"ray", "cup"}
    assert {name for name, row in rows.items() if float(row["precision"]) >= 0} == {"wolf", "bee"}
    assert {name: int(row["floor_n"]) for name, row in rows.items()} == {
        "wolf": 300,
        "bee": 3,
        "elm": 0,
        "ray": 0,
        "cup": 0,
    }
    assert rows["ray"]["reason"] == "1 images; a distance needs at least 2 (min_samples)"
    assert rows["cup"]["reason"] == "the class has no images"
    assert found["summary"]["failed"] == 0
    assert found["summary"]["mean"] == pytest.approx(sum(distances[name] for name in ("wolf", "bee", "elm")) / 3)
    assert (found["summary"]["n_min"], found["summary"]["n_max"]) == (2, 600)
    said = [str(warning.message) for warning in warned]
    assert (
        len([text for text in said if "of wolf (val): the class has 600 images, 1024 were asked for; 600" in text]) == 1
    )
    assert len([text for text in said if "of bee (val): the class has 7 images" in text]) == 1
    assert len([text for text in said if "of ray (val) is NaN: 1 images" in text]) == 1
    assert len([text for text in said if "of cup (val) is NaN: the class has no images" in text]) == 1
    assert len([text for text in said if "mean and median mix them" in text]) == 1


def test_a_warning_is_not_repeated_at_the_next_evaluation(tmp_path):
    callback, data, module = make_callback(), SizedData({"bee": 7}), make_module()
    trainer = make_trainer(tmp_path, callback)
    trainer.validate(module, data, verbose=False)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trainer.validate(module, data, verbose=False)
    assert not [warning for warning in warned if "bee" in str(warning.message)]


def test_min_samples_and_n_shot_are_reasons(tmp_path):
    rows, _ = evaluate(tmp_path, {"a": 9, "b": 5}, min_samples=6)
    assert rows["b"]["reason"] == "5 images; a distance needs at least 6 (min_samples)"
    assert float(rows["a"]["fd_means"]) > 0


class FailsInTheThirdClass(Means):
    calls = 0

    def forward(self, images):
        type(self).calls += 1
        if type(self).calls == 6:  # real and generated of two classes, the real ones of the third, then these
            raise RuntimeError("out of memory, say")
        return super().forward(images)


FAILS = "tests.callbacks.test_guard.FailsInTheThirdClass"
FIVE = dict.fromkeys("abcde", 12)


@pytest.fixture(autouse=True)
def _count_again():
    FailsInTheThirdClass.calls = 0


def test_an_extractor_that_raises_in_the_third_class(tmp_path, caplog):
    rows, found = evaluate(tmp_path, FIVE, extractor=FAILS)
    assert [name for name, row in rows.items() if math.isnan(float(row["fd_failsinthethirdclass"]))] == ["c"]
    assert rows["c"]["reason"] == "RuntimeError: out of memory, say"
    assert found["summary"]["failed"] == 1
    assert found["complete"]
    assert "The class c (val) could not be compared" in caplog.text
    assert "Traceback" in caplog.text and "in forward" in caplog.text


def test_strict_raises(tmp_path):
    with pytest.raises(EvaluationError, match="c: RuntimeError: out of memory, say") as raised:
        evaluate(tmp_path, FIVE, extractor=FAILS, strict=True)
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_training_goes_on_after_a_failure(tmp_path):
    callback = PerClassFID(extractor=FAILS, num_samples=12, batch_size=8)
    trainer = run(tmp_path, 4, callbacks=[callback], limit_val_batches=1.0, val_check_interval=2)
    assert trainer.global_step == 4
    assert trainer.callback_metrics["val/fd_failsinthethirdclass/failed"] == 0  # of the second evaluation
    assert trainer.callback_metrics["val/fd_failsinthethirdclass/mean"] > 0


def test_an_extractor_that_cannot_be_loaded_is_said_before_training_and_counted(tmp_path, caplog):
    callback = make_callback(extractor="inception", extractor_args={"weights_path": "nosuch.pth"})
    with pytest.warns(UserWarning, match=r"No distance will be computed unless this is mended .*Get it from https"):
        trainer = run(tmp_path, 2, callbacks=[callback], limit_val_batches=1.0, val_check_interval=2)
    assert trainer.global_step == 2
    assert trainer.callback_metrics["val/fid/failed"] == 8
    assert math.isnan(trainer.callback_metrics["val/fid/mean"])
    assert "Traceback" in caplog.text
    strict = make_callback(extractor="inception", extractor_args={"weights_path": "nosuch.pth"}, strict=True)
    with pytest.raises(UserError, match="no weights at"):
        run(tmp_path, 2, callbacks=[strict], limit_val_batches=1.0, val_check_interval=2)


def test_a_model_that_draws_no_numbers_is_a_failure_of_its_classes(tmp_path):
    module = make_module()
    for parameter in module.ema.parameters():
        parameter.data.fill_(math.nan)
    callback = make_callback()
    make_trainer(tmp_path, callback).validate(module, SizedData(FIVE), verbose=False)
    rows, found = read_tables(tmp_path)
    assert found["summary"]["failed"] == 5
    assert {row["reason"] for row in rows.values()} == {"ValueError: the model drew values that are not finite"}


def test_mistakes_are_said_before_training(tmp_path):
    with pytest.raises(UserError, match="no extractor glyphnett"):
        PerClassFID(extractor="glyphnett")
    with pytest.raises(UserError, match=r"no class nosuch\. The val split holds val_0, val_1"):
        run(tmp_path, 2, callbacks=[make_callback(classes=["nosuch"])], limit_val_batches=1.0, val_check_interval=2)
    with pytest.raises(UserError, match="classes is 0"):
        run(tmp_path, 2, callbacks=[make_callback(classes=0)], limit_val_batches=1.0, val_check_interval=2)


def test_as_many_generated_as_real_in_full_batches_across_classes(tmp_path, monkeypatch):
    """Three classes of 12, 5 and 7 images make 24 support sets of one: three batches of eight."""
    module, shapes, compared = make_module(), [], []
    sample = module.sample

    def watch(support, *arguments, **kwargs):
        shapes.append(tuple(support.shape[:2]))
        return sample(support, *arguments, **kwargs)

    monkeypatch.setattr(module, "sample", watch)
    monkeypatch.setattr(
        "lightning_nsd.metrics.distances.frechet_distance",
        lambda a, b: compared.append((len(a), len(b))) or frechet_distance(a, b),
    )
    data = SizedData({"a": 12, "b": 5, "c": 8})
    make_trainer(tmp_path, make_callback()).validate(module, data, verbose=False)
    assert shapes == [(8, N_SHOT)] * 4
    assert [sizes for sizes in compared if sizes[0] in (12, 5, 8)] == [(12, 12), (5, 5), (8, 8)]


@pytest.mark.parametrize("name", [MEANS, FAILS])
def test_the_extractor_is_a_module_from_bytes(name, tmp_path):
    seen = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0]) if isinstance(module, Means) else None
    )
    try:
        evaluate(tmp_path, {"a": 12}, extractor=name)
    finally:
        hook.remove()
    assert {images.dtype for images in seen} == {torch.uint8}
