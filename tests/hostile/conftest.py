"""Hostile commands in this process, in a folder of their own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightning_nsd.checkpoints.io import read_checkpoint
from tests.cli.conftest import _elsewhere  # noqa: F401 (an autouse fixture)
from tests.hostile.answer import Answer, ask
from tests.hostile.make_checkpoint import Content, make
from tests.hostile.make_run import RUN


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs a command and gives its answer."""
    return lambda *arguments: ask(capsys, arguments)


@pytest.fixture
def fit(answer: Callable[..., Answer]) -> Callable[..., Answer]:
    """Trains a small run in a folder up to a step."""
    return lambda root, steps, *more: answer(
        "fit", *RUN, f"--trainer.default_root_dir={root}", f"--trainer.max_steps={steps}", *more
    )


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a run of two steps, in the run's folder."""
    root = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return make(root)


@pytest.fixture(scope="session")
def content(good: Path) -> Content:
    """What it holds."""
    return read_checkpoint(good)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A support set."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.full((8, 8), 80 * i, np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest) -> int:
    """By how much the number of random inputs is multiplied."""
    return int(request.config.getoption("--campaign"))
