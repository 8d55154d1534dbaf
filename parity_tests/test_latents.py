"""A model of latents, or one that sees features: one YAML, the same encodings and the same first loss on both sides."""

from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from jax_reference.config import FROM_DATA, read_config
from jax_reference.train import fit
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.rng import Stream
from parity_tests import cases
from parity_tests.pair import Pair
from parity_tests.test_fit import losses
from tests.backbones.make_vit import SIZES, VIT
from tests.latents.make_autoencoder import FACTOR, make_autoencoder

SIZE = 8 * FACTOR


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_autoencoder(tmp_path_factory.mktemp("autoencoder"), channels=1)


def config_with(autoencoder: Path, seen: str, path: Path) -> Path:
    model = {key: value for key, value in cases.SMALL_DIT.items() if key not in FROM_DATA}
    model["diffusion"] = cases.DIFFUSIONS[1]
    if seen == "features":
        model["backbone"] = cases.part("PretrainedViT", {"name": VIT, **SIZES, "tokens": "none"})
        model["encoder"] = cases.part("FeatureEncoder", {"context_dim": 8, "mlp_head_dim": 6})
    else:
        model["encoder_input"] = seen
    model["autoencoder"] = cases.part("DiffusersAutoencoder", {"path": str(autoencoder)})
    draw = np.random.default_rng(0)
    for name, number in product("ab", range(4)):
        file = path.parent / "data" / name / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (SIZE, SIZE), dtype=np.uint8)).save(file)
    arguments = {"root": str(path.parent / "data"), "image_size": SIZE, "channels": 1, "n_shot": 2, "batch_size": 2}
    arguments |= {"val_fraction": 0.0, "test_fraction": 0.0, "horizontal_flip": True}
    content = {
        "seed_everything": 3,
        "trainer": {"max_steps": 1, "log_every_n_steps": 1},
        "data": {"class_path": "ClassFolder", "init_args": arguments},
        "model": model,
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("seen", ["images", "features"])
def test_the_first_loss_is_that_of_the_torch_side(
    autoencoder: Path, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    read = read_config(str(config_with(autoencoder, seen, tmp_path / "config.yaml")))
    pair = Pair({**read.model, "parity": True, "seed": read.seed}, "float32")
    fit(read, tmp_path / "run", 1, params=pair.params)
    batch = read.data.training_batch(0)
    batch = batch._replace(images=to_unit_range(batch.images))
    assert batch.latents is not None and batch.latents.shape == (2, 3, 2, 2, 8, 8)
    assert seen == "images" or (batch.features is not None and batch.features.shape == (2, 3, 8, 2, 2))
    pair.ours.trainer = trainer = SimpleNamespace(global_rank=0, world_size=1)  # type: ignore[assignment]
    pair.ours.train()
    dropout = read.model["context_dropout"]
    terms: Any = pair.ours._episode_loss(pair.ours.model, batch, read.seed, Stream.TRAIN_NOISE, dropout)
    assert trainer and losses(tmp_path / "run") == pytest.approx([float(terms["loss"].detach().mean())], rel=1e-5)
