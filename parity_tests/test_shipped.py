"""Rung 3 for every shipped config, at its real size: each module's output in a whole forward pass."""

import pytest
import yaml

from jax_reference.config import read_config
from lightning_nsd.settings.config_files import shipped_folder
from parity_tests.ladder import Ladder, Options

WITH_A_MODEL = sorted(
    path.name
    for path in shipped_folder().glob("*.yaml")
    if {"model", "data"} <= yaml.safe_load(path.read_text("utf-8")).keys()
)


@pytest.mark.parametrize("name", WITH_A_MODEL)
def test_the_real_architecture_agrees(name: str) -> None:
    forward = next(Ladder(read_config(name), Options(rungs=(3,))).rung(3))
    assert "network" in forward.errors
    forward.require()
