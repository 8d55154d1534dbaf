"""`python -m parity_tests` on a tiny config."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from jax_reference.config import read_config
from lightning_nsd.checkpoints.loading import build_model
from lightning_nsd.checkpoints.settings import HYPERPARAMETERS
from lightning_nsd.convert.weights import Weights, write
from lightning_nsd.module import FewShotDiffusion
from parity_tests import cases, command, ladder
from parity_tests.check import Check
from parity_tests.report import Report, conclusion
from parity_tests.rungs import metric

FROM_DATA = ("image_size", "channels", "n_shot")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    model = {key: value for key, value in cases.SMALL_DIT.items() if key not in FROM_DATA}
    data = {"class_path": "Glyphs", "init_args": {"image_size": 8, "n_shot": 2}}
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({"model": model, "data": data, "trainer": {"gradient_clip_val": 1.0}}))
    return path


def saved(module: FewShotDiffusion) -> dict[str, Any]:
    """A checkpoint of weights alone."""
    return {"state_dict": module.state_dict(), "global_step": 1, HYPERPARAMETERS: module.hyperparameters}


def run(config: Path, *more: str) -> tuple[int, dict]:
    status = command.main(["--config", str(config), "--output-dir", str(config.parent / "out"), *more])
    return status, json.loads((config.parent / "out" / "parity.json").read_text())


@pytest.mark.smoke
def test_all_rungs_pass_and_the_report_is_written(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric, "inceptions", lambda *_: (None, None))  # a minute, and tests of their own
    monkeypatch.setattr(metric, "features", lambda *_: Check("metric", "features", "float64", {"features": 0.0}))
    for name in ("distances", "scores"):
        checks = [Check("metric", name, "float64", {name: 0.0})]
        monkeypatch.setattr(metric, name, lambda *_, checks=checks: iter(checks))
    status, report = run(config)
    assert status == 0 and report["passed"]
    assert {check["rung"] for check in report["checks"]} == set(range(9))
    assert {"features", "distances", "scores"} <= {check["what"] for check in report["checks"]}
    assert all(check["errors"] for check in report["checks"])
    page = (config.parent / "out" / "parity.html").read_text()
    assert "data:image/png;base64," in page and "src=http" not in page
    assert "All" in capsys.readouterr().out


def test_a_difference_is_a_failure_that_names_its_module(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = ladder.Pair

    def disturbed(*arguments: object, **named: object) -> object:
        made = pair(*arguments, **named)  # type: ignore[arg-type]
        made.ours.model.get_parameter("denoiser.blocks.1.mlp.linear_2.bias").data[0] += 1e-6
        return made

    monkeypatch.setattr(ladder, "Pair", disturbed)
    status, report = run(config, "--rungs", "3-4")
    assert status == 1 and not report["passed"]
    assert report["first_module"] == "denoiser.blocks.1.mlp.linear_2"


def test_a_checkpoint_gives_its_weights_and_one_of_another_model_is_refused(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, read = [config.parent / name for name in ("same.ckpt", "other.ckpt")], read_config(str(config))
    modules = [build_model(copy.deepcopy(settings), "") for settings in (read.model, cases.SMALL_UNET)]
    for module, path in zip(modules, paths, strict=True):
        write(Weights(module, 1, saved(module)), path)
    taken = ladder.Ladder(read, ladder.Options(ckpt=str(paths[0]))).pair.ours.model
    for key, weight in modules[0].model.state_dict().items():
        assert torch.equal(taken.state_dict()[key], weight.double()), key
    assert command.main(["--config", str(config), "--rungs", "3", "--ckpt", str(paths[1])]) == 2
    assert "--ckpt: " in capsys.readouterr().err


@pytest.mark.parametrize("rungs", ["9", "a", "1-10", ""])
def test_rungs_that_do_not_exist_are_refused(config: Path, rungs: str) -> None:
    with pytest.raises(SystemExit) as exit_status:
        command.main(["--config", str(config), "--rungs", rungs])
    assert exit_status.value.code == 2


def test_an_unknown_config_is_an_error_that_lists_the_shipped_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", "nowhere.yaml"]) == 2
    assert "cifar100.yaml" in capsys.readouterr().err


def test_a_config_without_a_model_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", "wandb.yaml"]) == 2
    assert "model and data sections" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data: [", "is no YAML"),
        ({"data": {"class_path": "Glyphs", "init_args": {"image_sise": 8}}}, "image_sise"),
        ({"model": {"optimizer": {"class_path": "torch.optim.SGD"}}}, "the reference has AdamW and MuonWithAdamW"),
    ],
)
def test_a_config_that_cannot_be_used_is_a_sentence(
    change: Any, said: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load(config.read_text())
    if isinstance(change, dict):
        change = yaml.safe_dump({section: {**content[section], **new} for section, new in {**content, **change}.items()
                                 if isinstance(new, dict)})  # fmt: skip
    config.write_text(change)
    assert command.main(["--config", str(config), "--rungs", "5"]) == 2
    assert said in capsys.readouterr().err


def test_where_nothing_can_be_written_is_said_before_any_rung(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder.Ladder, "rung", lambda *_: pytest.fail("checked"))
    (config.parent / "file").touch()
    assert command.main(["--config", str(config), "--output-dir", str(config.parent / "file" / "out")]) == 2
    assert "--output-dir: " in capsys.readouterr().err


def test_a_report_without_checks_has_not_passed() -> None:
    assert not Report({}, []).passed
    failed = Report({}, [Check("loss", "gradients of 1 parameters", "float64", {"w": 1.0})])
    assert "worst gradient is that of w" in conclusion(failed)
