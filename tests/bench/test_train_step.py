"""What a step takes: ours and the reference's in one run."""

import json
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def test_every_step_is_timed_counted_and_weighed(config, monkeypatch, capsys):
    import train_step

    monkeypatch.setattr(train_step, "MATRIX", 64)
    options = ["--episodes=2", "--rounds=1", "--precision", "float32", "bf16", "--mode", "eager", "jax"]
    monkeypatch.setattr(sys, "argv", ["train_step.py", f"--config={config}", *options])
    train_step.main()
    found = json.loads(capsys.readouterr().out)
    steps = {"float32 eager", "float32 jax", "bf16 eager"}  # the reference has no autocast
    assert set(found["seconds_per_step"]) == set(found["fraction_of_peak"]) == set(found["mib"]) == steps
    assert all(seconds > 0 for seconds in found["seconds_per_step"].values())
    for name, fraction in found["fraction_of_peak"].items():
        rate = found["gflop_per_step"] / found["seconds_per_step"][name]
        assert fraction == pytest.approx(rate / found["matmul_gflop_per_second"][name.split()[0]])


def test_the_reference_trains_and_does_not_stand_still(config):
    from jax_step import make_jax_step

    step = make_jax_step(str(config), 2)
    (_, first), (_, second) = step(), step()
    assert float(first["loss"].mean()) != float(second["loss"].mean())


@pytest.mark.campaign
def test_another_checkouts_step_is_made_by_its_own_package(config, tmp_path):
    from step_process import start_step

    other = tmp_path / "lightning_nsd"
    shutil.copytree(ROOT / "lightning_nsd", other, ignore=shutil.ignore_patterns("assets"))
    ema = other / "training" / "ema.py"
    ema.write_text(ema.read_text(encoding="utf-8") + "\nheld = bytearray(500 * 2**20)\n", encoding="utf-8")
    ours, theirs = (start_step(str(config), 1, root=root)() for root in (ROOT, tmp_path))
    assert 400 < theirs - ours < 600


def test_a_step_whose_process_has_ended_is_named(tmp_path):
    from step_process import start_step

    step = start_step(str(tmp_path / "none.yaml"), 1)
    with pytest.raises(RuntimeError, match=r"eager step of .* in float32 ended with status 1"):
        step()


def test_a_folder_that_is_no_checkout_is_named(tmp_path, monkeypatch, capsys):
    import train_step

    monkeypatch.setattr(sys, "argv", ["train_step.py", f"--before={tmp_path}"])
    with pytest.raises(SystemExit):
        train_step.main()
    assert f"{tmp_path} holds no lightning_nsd" in capsys.readouterr().err
