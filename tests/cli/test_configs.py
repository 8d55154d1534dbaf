"""Every shipped config is found, explained, and trains."""

import pickle
import re
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from lightning_nsd.errors import UserError
from lightning_nsd.settings.config_files import find_config, shipped_folder
from tests.cli.conftest import ROOT, TINY
from tests.latents.make_autoencoder import make_autoencoder

SHIPPED = sorted(path.name for path in shipped_folder().glob("*.yaml"))
TRACKERS = {"wandb.yaml", "tensorboard.yaml", "trackio.yaml", "mlflow.yaml"}
OVERLAYS = {"bf16.yaml", "gpu.yaml", "tpu.yaml", "torch_tpu.yaml", "xla_cpu.yaml", "xla_spmd.yaml", *TRACKERS}
OVER_GLYPHS = {"glyphs_class_conditional.yaml", "glyphs_one_image.yaml", "unconditional.yaml"}
"""Overlays that make another model of glyphs.yaml."""
BELOW = {**dict.fromkeys(OVER_GLYPHS, "glyphs.yaml"), "glyphs_latent.yaml": "glyphs_long.yaml"}
"""What every overlay that makes another model is laid over."""


def make_cifar100(root: Path) -> None:
    root.mkdir()
    draw = np.random.default_rng(0)
    for split, names in (("train", ("bed", "bowl")), ("val", ("bear", "wolf")), ("test", ("baby", "whale"))):
        classes = {name: draw.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8) for name in names}
        (root / f"{split}_cifar100.pkl").write_bytes(pickle.dumps(classes))


def make_omniglot(root: Path) -> None:
    draw = np.random.default_rng(0)
    for part, alphabets in (("images_background", "abcd"), ("images_evaluation", "e")):
        for alphabet in alphabets:
            folder = root / part / alphabet / "character01"
            folder.mkdir(parents=True)
            for i in range(7):
                pixels = draw.integers(0, 256, (28, 28), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")


def make_folder(root: Path) -> None:
    draw = np.random.default_rng(0)
    for name, i in product("abc", range(6)):
        (root / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(root / name / f"{i}.png")


WRITERS = {"cifar100": make_cifar100, "omniglot": make_omniglot, "folder": make_folder}
"""What writes a tiny data set for the configs whose names begin so; the others' are made or shipped, not read."""


def test_the_list_of_configs_is_what_the_readme_promises():
    named = set(re.findall(r"`(\w+\.yaml)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_config_is_read_alike_in_every_locale(name):
    assert Path(find_config(name)).read_bytes().isascii()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_config_says_what_it_is_where_it_is_from_how_to_run_it_and_what_to_expect(name):
    text = Path(find_config(name)).read_text(encoding="utf-8")
    head = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    for word in ("# What:", "# Source:", "# Command: python -m lightning_nsd", "# Expect:"):
        assert word in head
    assert name in head


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in OVERLAYS])
def test_a_config_trains_two_steps(name, nsd, tmp_path):
    family = "glyphs" if name in OVER_GLYPHS else name.split(".")[0].split("_")[0]
    data = ["--data.image_size=8"] if family == "glyphs" else []
    below = [f"--config={BELOW[name]}"] if name in BELOW else []
    if family in WRITERS:
        WRITERS[family](tmp_path / family)
        data = [f"--data.root={tmp_path / family}"]
    if name.endswith("_latent.yaml"):
        autoencoder = make_autoencoder(tmp_path / "autoencoder", channels=1 if family == "glyphs" else 3)
        data += [f"--model.autoencoder.path={autoencoder}", "--data.image_size=32"]
        data += ["--data.episode_symmetries=false"]  # eight latents of every image
    status, said = nsd(
        "fit", *below, "--config", name, *data, "--data.batch_size=1", "--data.eval_episodes=1",
        "--trainer.max_steps=2", "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0",
        "--trainer.default_root_dir=run", "--trainer.accelerator=cpu", "--model.sampler.num_steps=2",
    )  # fmt: skip
    assert status == 0, said
    assert "finished after 2 steps" in said
    assert (tmp_path / "run" / "last.ckpt").is_file()


@pytest.mark.smoke
def test_wandb_is_laid_over_another_config(nsd, tmp_path):
    # An absolute path: W&B's own process, which may be an earlier test's, has a working folder of its own.
    status, said = nsd("fit", *TINY, "--config=wandb.yaml", "--trainer.max_steps=2",
                       f"--trainer.default_root_dir={tmp_path / 'run'}", "--trainer.val_check_interval=2")  # fmt: skip
    assert status == 0, said
    deadline = time.monotonic() + 60  # a process of W&B's own writes it
    while not list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert list((tmp_path / "run" / "logs").glob("metrics.csv"))


def test_cifar100_is_the_source_model():
    config = yaml.safe_load(Path(find_config("cifar100.yaml")).read_text(encoding="utf-8"))
    encoder, denoiser = config["model"]["encoder"], config["model"]["denoiser"]
    assert encoder["class_path"] == "SetViT"
    assert encoder["init_args"].items() >= {"context_dim": 448, "depth": 6, "num_heads": 12, "head_dim": 64}.items()
    assert denoiser["class_path"] == "DiT"
    assert denoiser["init_args"].items() >= {"hidden_size": 448, "depth": 6, "num_heads": 8, "patch_size": 2}.items()
    assert config["model"]["diffusion"].items() >= {"num_steps": 1000, "schedule": "linear"}.items()
    assert config["model"]["ema_decay"] == 0.9999
    assert config["trainer"]["max_steps"] == 2 * config["checkpoint"]["every_n_train_steps"] == 40_000
    assert config["data"]["init_args"].items() >= {"n_shot": 5, "batch_size": 16}.items()


def test_a_path_comes_before_a_shipped_name(tmp_path):
    (tmp_path / "glyphs.yaml").write_text("seed_everything: 3\n")
    assert find_config("glyphs.yaml") == "glyphs.yaml"
    (tmp_path / "glyphs.yaml").unlink()
    assert Path(find_config("glyphs.yaml")).parent == shipped_folder()


def test_a_name_found_nowhere_lists_the_shipped_ones():
    with pytest.raises(UserError, match=r"(?s)no config nosuch\.yaml.*cifar100\.yaml.*glyphs\.yaml"):
        find_config("nosuch.yaml")


def test_the_distances_of_cifar100_are_asked_for_as_in_the_source_and_those_of_glyphs_at_the_end():
    fid = {name: yaml.safe_load(Path(find_config(name)).read_text(encoding="utf-8"))["fid"] for name in
           ("cifar100.yaml", "glyphs.yaml")}  # fmt: skip
    assert fid["cifar100.yaml"] == {"when": "every", "num_samples": 1024}
    assert fid["glyphs.yaml"].items() >= {"when": "last", "splits": ["val", "test"], "extractor": "glyphnet"}.items()
