"""A small run with pictures and distances, and the folder that is made of it."""

from pathlib import Path

import pytest

from lightning_nsd.cli import main
from tests.cli.conftest import CACHE, TINY, _elsewhere, nsd  # noqa: F401 (fixtures)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps, with checkpoints of both and figures of the last."""
    root = tmp_path_factory.mktemp("travel") / "run"
    options = ["--trainer.max_steps=2", "--trainer.val_check_interval=2", "--checkpoint.every_n_train_steps=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root.parent)
        patch.setenv("XDG_CACHE_HOME", str(CACHE))
        assert main(["fit", *TINY, *options, f"--trainer.default_root_dir={root}"]) == 0
    return root


@pytest.fixture(scope="session")
def folder(run: Path) -> Path:
    """The model's folder of its last checkpoint."""
    made = run.parent / "model"
    assert main(["convert", "--input", str(run / "last.ckpt"), "--output", str(made), "--format", "hub"]) == 0
    return made
