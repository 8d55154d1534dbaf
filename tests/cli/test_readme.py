"""The commands of the README work, in the order in which they stand there."""

import csv
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from orbax.checkpoint import PyTreeCheckpointer
from PIL import Image

from tests.cli.conftest import ROOT
from tests.cli.test_configs import make_cifar100, make_omniglot
from tests.convert.make_source import source_tree

BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.replace("\\\n", "").splitlines()]
OURS = [shlex.split(line)[3:] for line in COMMANDS if line.startswith("python -m lightning_nsd")]
SHORT = {
    "fit": ["--trainer.max_steps=1", "--data.batch_size=1", "--trainer.limit_val_batches=0",
            "--trainer.num_sanity_val_steps=0", "--trainer.accelerator=cpu"],
    "validate": ["--data.eval_episodes=1", "--model.sampler.num_steps=2", "--trainer.accelerator=cpu",
                 "--fid.num_samples=2", "--fid.classes=2"],
    "test": ["--data.eval_episodes=1", "--model.sampler.num_steps=2", "--trainer.accelerator=cpu",
                 "--fid.num_samples=2", "--fid.classes=2"],
    "predict": ["--data.eval_episodes=1", "--model.sampler.num_steps=2", "--trainer.accelerator=cpu"],
    "sample": ["--steps=2"],
    "evaluate": ["--num_samples=2", "--classes=2"],
    "convert": [],
}  # fmt: skip

SMALL = {
    "cifar100.yaml": ["--model.encoder.depth=1", "--model.denoiser.depth=1"],
    "cifar100_unet.yaml": ["--model.encoder.depth=1", "--model.denoiser.model_channels=16"],
}


def make_pictures(folder, count):
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


def test_every_command_of_the_readme_runs(nsd, tmp_path):
    (tmp_path / "data").mkdir()
    make_cifar100(tmp_path / "data" / "cifar100")
    make_omniglot(tmp_path / "data" / "omniglot")
    PyTreeCheckpointer().save(tmp_path / "data" / "jax_checkpoint", source_tree())
    make_pictures(tmp_path / "data" / "five_pictures", 5)
    for name in "abcdefg":
        make_pictures(tmp_path / "data" / "my_classes" / name, 7)
        make_pictures(tmp_path / "data" / "real" / name, 3)
        make_pictures(tmp_path / "data" / "generated" / name, 3)
    assert len(OURS) >= 10
    for arguments in OURS:
        small = [option for argument in arguments for option in SMALL.get(argument, [])]
        status, said = nsd(*arguments, *SHORT[arguments[0]], *small)
        assert status == 0, f"{' '.join(arguments)}\n{said}"
    assert (tmp_path / "grid.png").is_file()


def test_the_unconditional_baseline_of_the_readme_has_distances(nsd):
    command = next(arguments for arguments in OURS if "runs/unconditional" in arguments)
    status, said = nsd(*command, "--trainer.max_steps=1", "--trainer.val_check_interval=1", "--trainer.callbacks=null",
                       "--data.batch_size=1", "--data.eval_episodes=1", "--data.image_size=8", "--fid.num_samples=4",
                       "--fid.classes=1", "--fid.splits=[val]", "--fid.sampler.num_steps=2",
                       "--model.denoiser.model_channels=8", "--trainer.accelerator=cpu")  # fmt: skip
    assert status == 0, said
    with Path("runs/unconditional/logs/metrics.csv").open() as file:
        found = [row["val/fd_glyphnet/mean"] for row in csv.DictReader(file) if row["val/fd_glyphnet/mean"]]
    assert [float(value) > 0 for value in found] == [True]


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", "\n".join(COMMANDS), re.MULTILINE))
def test_every_make_target_of_the_readme_exists(target):
    assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_file_that_the_readme_shows_exists():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"\]\((?!http)([^)]+)\)|`((?:bench|scripts|configs)/\w+\.\w+)`", text):
        assert (ROOT / "".join(path)).is_file(), path
