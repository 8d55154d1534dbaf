"""Rung 3 for every shipped config, at its real size: each module's output in a whole forward pass."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from jax_reference.config import read_config
from lightning_nsd.settings.config_files import shipped_folder
from parity_tests.campaign import in_campaign
from parity_tests.ladder import Ladder, Options

FACTOR = 8
"""Pixels for each of a latent, along a side, in the shipped configs."""


def content_of(name: str) -> Any:
    return yaml.safe_load((shipped_folder() / name).read_text("utf-8"))


WITH_A_MODEL = sorted(
    path.name
    for path in shipped_folder().glob("*.yaml")
    if "model" in (content := content_of(path.name)) and "class_path" in content.get("data", {})
)


LIKE_ANOTHER = ("cifar100_crossattn.yaml", "cifar100_small.yaml", "folder_latent.yaml")
"""Of the same modules as glyphs.yaml and cifar100.yaml, of other sizes, or of those that `test_model.py` has small."""


@pytest.mark.parametrize("name", in_campaign(WITH_A_MODEL, LIKE_ANOTHER))
def test_the_real_architecture_agrees(name: str, tmp_path: Path) -> None:
    content = content_of(name)
    if content["model"].pop("autoencoder", None):  # the network is that of images of a latent's size
        content["data"]["init_args"]["image_size"] //= FACTOR
    (tmp_path / name).write_text(yaml.safe_dump(content))
    forward = next(Ladder(read_config(str(tmp_path / name)), Options(rungs=(3,))).rung(3))
    assert "network" in forward.errors
    forward.require()
