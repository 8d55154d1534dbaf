"""One autoencoder for all tests."""

from pathlib import Path

import pytest

from lightning_nsd.latents import DiffusersAutoencoder
from tests.latents.make_autoencoder import make_autoencoder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_autoencoder(tmp_path_factory.mktemp("autoencoder"))


@pytest.fixture
def autoencoder(folder: Path) -> DiffusersAutoencoder:
    return DiffusersAutoencoder(str(folder))
