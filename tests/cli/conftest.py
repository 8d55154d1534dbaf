"""Commands run in this process or in one of their own, on the smallest models."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_nsd.cli import main

ROOT = Path(__file__).parent.parent.parent
CACHE = Path(tempfile.gettempdir()) / "lightning_nsd_tests"
TINY = [
    "--config=glyphs.yaml", "--data.image_size=8", "--data.batch_size=2", "--data.eval_episodes=3", "--data.n_shot=3",
    "--trainer.callbacks.init_args.num_images=2", "--trainer.callbacks.init_args.num_classes=2",
    "--model.encoder.model_channels=4", "--model.encoder.context_dim=8", "--model.denoiser.model_channels=8",
    "--model.sampler.num_steps=3", "--trainer.accelerator=cpu", "--trainer.log_every_n_steps=1",
    "--trainer.enable_model_summary=false", "--fid.num_samples=4", "--fid.classes=2", "--fid.sampler.num_steps=2",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands work from any folder; nothing is written into the checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("XDG_CACHE_HOME", str(CACHE))


@pytest.fixture
def nsd(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command; gives its exit status and everything that it said."""

    def call(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    return call


def start(*arguments: object) -> subprocess.Popen[str]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "lightning_nsd", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(CACHE)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
