"""One file of weights for all tests."""

from pathlib import Path
from typing import Any

import pytest

from lightning_nsd.backbones import PretrainedViT
from tests.backbones.make_vit import SIZES, VIT, make_vit


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_vit(tmp_path_factory.mktemp("vit") / "vit.safetensors")


def vit(path: Path | None, name: str = VIT, **settings: Any) -> PretrainedViT:
    """A tiny one, of images of 8 pixels and patches of 4."""
    return PretrainedViT(name, None if path is None else str(path), **{**SIZES, **settings})


@pytest.fixture
def backbone(weights: Path) -> PretrainedViT:
    return vit(weights)
