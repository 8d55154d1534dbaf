"""The command for a machine with a card, on the CPU: what it finds, what it leaves, and how it goes on."""

import json
import time
from types import SimpleNamespace

import pytest
import torch
import yaml

from lightning_nsd.settings.config_files import find_config

UNET = {"model_channels": 8, "channel_multipliers": [1, 2]}


@pytest.fixture(scope="module")
def bench():
    import accelerator
    from card import parity, steps, training

    return SimpleNamespace(main=accelerator.main, parity=parity, steps=steps, training=training)


@pytest.fixture
def config(tmp_path):
    """A model and a run that take seconds."""
    with open(find_config("glyphs.yaml")) as file:
        content = yaml.safe_load(file)
    content["trainer"] |= {"max_steps": 4, "val_check_interval": 4, "log_every_n_steps": 1, "callbacks": []}
    content["data"]["init_args"] |= {"image_size": 8, "batch_size": 2, "eval_episodes": 2}
    content["model"]["encoder"]["init_args"] |= {**UNET, "context_dim": 8}
    content["model"]["denoiser"]["init_args"] |= UNET
    content["model"]["sampler"]["init_args"]["num_steps"] = 2
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


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


def test_what_takes_too_long_is_ended_and_what_fails_is_told(bench):
    start = time.monotonic()
    assert bench.steps.within(0.2, time.sleep, 60) is None
    assert time.monotonic() - start < 30
    assert bench.steps.within(60, json.loads, "no JSON")["error"].startswith("JSONDecodeError")


def test_a_piece_without_time_still_leaves_a_report(bench, config, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.parity, "check", lambda *_: {})
    monkeypatch.setattr(bench.steps, "peak", lambda *_: 1e9)
    assert bench.main([f"--config={config}", "--device=cpu", f"--output={tmp_path}", "--minutes=0"]) == 0
    assert "Nothing yet" in (tmp_path / "report.html").read_text()
