"""The scripts of `bench/` import each other by name, as they do when they are run."""

import sys
from pathlib import Path

import pytest
import yaml

from lightning_nsd.settings.config_files import find_config

UNET = {"model_channels": 8, "channel_multipliers": [1, 2]}


@pytest.fixture(scope="package", autouse=True)
def bench_on_the_path():
    folder = str(Path(__file__).parent.parent.parent / "bench")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


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
