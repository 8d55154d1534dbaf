"""The command for a machine with a card, on the CPU: what it finds, what it leaves, and how it goes on."""

import json
from types import SimpleNamespace

import pytest
import torch


@pytest.fixture(scope="module")
def bench():
    import accelerator
    from card import parity, steps, training

    return SimpleNamespace(main=accelerator.main, parity=parity, steps=steps, training=training)


def test_a_piece_measures_trains_draws_and_judges_and_the_next_has_nothing_left(bench, config, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.steps, "MODES", {"eager": None})
    monkeypatch.setattr(bench.steps, "within", lambda limit, work, *arguments: work(*arguments))
    monkeypatch.setattr(bench.training, "MANY", 2)
    monkeypatch.setattr(bench.training, "MIXTURE", 0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = [f"--config={config}", "--device=cpu", f"--output={tmp_path / 'out'}", "--extractor=glyphnet"]
    assert bench.main([*options, "--minutes=10"]) == 0
    found = json.loads((tmp_path / "out/report.json").read_text())
    assert {rung: one["passed"] for rung, one in found["parity"][str(config)].items()} == dict.fromkeys(
        ("model", "loss", "sampler"), True
    )
    assert len(found["steps"]) == 2 and all(0 < one["fraction_of_peak"] < 1.5 for one in found["steps"].values())
    assert found["training"][str(config)].items() >= {"steps": 4, "ended": True, "distances": "done"}.items()
    page = (tmp_path / "out/report.html").read_text()
    assert page.count("data:image/png") == 3  # losses, pictures, distances
    assert "://" not in page

    monkeypatch.setattr(bench.training, "go_on", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(bench.training, "judge", lambda *_: pytest.fail("judged again"))
    assert bench.main([*options, "--minutes=10", "--resume"]) == 0
    assert json.loads((tmp_path / "out/report.json").read_text()) == found
    with pytest.raises(SystemExit):
        bench.main([*options, "--minutes=10"])  # would write over it


def test_a_device_that_computes_something_else_is_found(bench, config, monkeypatch):
    exact = bench.parity.computed
    sides = []

    def off(module, device):
        sides.append(device)
        if len(sides) == 1:
            with torch.no_grad():
                for parameter in module.model.denoiser.parameters():
                    parameter.mul_(1.01)
        return exact(module, device)

    monkeypatch.setattr(bench.parity, "computed", off)
    assert not any(one["passed"] for one in bench.parity.check(str(config), torch.device("cpu")).values())


def test_a_piece_without_time_still_leaves_a_report(bench, config, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.parity, "check", lambda *_: {})
    monkeypatch.setattr(bench.steps, "peak", lambda *_: 1e9)
    assert bench.main([f"--config={config}", "--device=cpu", f"--output={tmp_path}", "--minutes=0"]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "Nothing yet" in page and "Not measured yet, --resume goes on" in page
