"""Every command and every piece of Python that README.md, CONTRIBUTING.md and docs/ show works, made small.

What is not run is named in `NOT_RUN`, with the reason; a command that is neither fails.
"""

import argparse
import csv
import os
import re
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
import yaml
from orbax.checkpoint import PyTreeCheckpointer
from PIL import Image
from torch import nn

from lightning_nsd.settings.config_files import find_config
from parity_tests.campaign import in_campaign
from tests.cli.conftest import ROOT
from tests.cli.pages import NOTEBOOK, OTHER_LANGUAGES, PAGES, SHELLS, Command, blocks, commands, named_files
from tests.cli.test_configs import make_cifar100, make_omniglot
from tests.convert.make_source import source_tree
from tests.data.test_celeba import write_celeba
from tests.data.test_mini_imagenet import write_mini_imagenet
from tests.latents.make_autoencoder import make_autoencoder

Run = Callable[..., tuple[int, str]]

NOT_RUN = {
    r"git clone": "fetches the repository",
    r"pip install": "installs",
    r"pip download": "fetches packages",
    r"python bench/accelerator\.py": "minutes of training; see tests/bench/test_accelerator.py",
    r"ls /dev": "looks for a TPU's devices",
    r"eval ": "asks TorchTPU for the environment of a TPU",
    r"torchrun ": "starts a process for every TPU device",
    r"cd ": "enters the checkout",
    r"python -m parity_tests\.mutants": "an hour: the parity tests once for each mutant",
    r"python -m parity_tests\.examples": "needs transformers' fourth version: `make parity-examples`",
    r"python -m parity_tests\.pairing\.faults": "two minutes; some of the faults are in parity_tests/test_pairing.py",
    r"python -m lightning_nsd fit .*--trainer\.devices": "several processes: see tests/training/test_processes.py",
    r"python bench/outcome\.py": "half an hour: three trainings of each framework",
    r"python -m lightning_nsd fit .*glyphs_latent": "encodes every glyph, turned eight ways; see test_configs",
    r"python scripts/run_notebooks\.py": "minutes of training; see tests/notebooks",
    r"python -m lightning_nsd demo": "serves until it is stopped: see test_demo",
    r"python scripts/demo_pictures\.py": "takes pictures of the page in a browser; tests/demo/test_page.py draws on it",
    r"hf ": "logs in to a hub",
    r"python -m lightning_nsd push": "writes to a hub: see tests/hub/test_hub.py",
    r"python -m lightning_nsd sample .*hf://": "fetches from a hub: see tests/hub/test_hub.py",
    r"wandb sync": "needs a server",
    r"python bench/fid\.py": "measures the memory of three processes, each of which imports torch",
}
EVALUATED = ["--data.eval_episodes=1", "--model.sampler.num_steps=2", "--trainer.accelerator=cpu"]
SHORT = {
    "fit": ["--trainer.max_steps=1", "--data.batch_size=1", "--trainer.limit_val_batches=0",
            "--trainer.num_sanity_val_steps=0", "--trainer.accelerator=cpu", "--model.compile=false"],
    "validate": [*EVALUATED, "--fid.num_samples=2", "--fid.classes=2"],
    "test": [*EVALUATED, "--fid.num_samples=2", "--fid.classes=2"],
    "predict": EVALUATED,
    "sample": ["--steps=2"],
    "evaluate": ["--num_samples=2", "--classes=2"],
    "convert": [],
    "report": [],
}  # fmt: skip
"""What makes a command of ours short."""

UNET = {"encoder.model_channels": 4, "encoder.context_dim": 8, "denoiser.model_channels": 8}
VIT = {"encoder.depth": 1, "encoder.context_dim": 16, "encoder.num_heads": 2, "encoder.head_dim": 4}
DIT = {"denoiser.depth": 1, "denoiser.hidden_size": 16, "denoiser.num_heads": 2}
SMALL = {
    "glyphs.yaml": UNET,
    "glyphs_long.yaml": UNET,
    "cifar100.yaml": {**VIT, **DIT},
    "cifar100_g3.yaml": {**VIT, **DIT},
    "cifar100_unet.yaml": {**VIT, "denoiser.model_channels": 16},
    "cifar100_small.yaml": UNET,
    "omniglot.yaml": UNET,
    "folder_latent.yaml": {**VIT, **DIT, "autoencoder.path": "data/autoencoder"},
}
"""What makes a config's model small."""

COMMANDS = list({(*command.environment.items(), *command.words): command for command in commands()}.values())


def not_run(command: Command) -> str | None:
    """Why a command is not run."""
    return next((why for what, why in NOT_RUN.items() if re.match(what, " ".join(command.words))), None)


def starting_with(*words: str) -> list[Command]:
    return [command for command in COMMANDS if command.words[: len(words)] == words and not not_run(command)]


def in_parametrize(chosen: Sequence[Command]) -> list[object]:
    return [pytest.param(command, id=str(command)) for command in chosen]


def make_pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the pages' commands name and do not make."""
    root = tmp_path_factory.mktemp("pages")
    (root / "data").mkdir()
    make_cifar100(root / "data" / "cifar100")
    make_omniglot(root / "data" / "omniglot")
    write_mini_imagenet(root / "data" / "mini_imagenet", images=7)
    write_celeba(root / "data" / "celeba", images=20)
    PyTreeCheckpointer().save(root / "data" / "jax_checkpoint", source_tree())
    make_pictures(root / "data" / "five_pictures", 5)
    make_pictures(root / "pictures", 5)
    for name in "abcdefg":
        make_pictures(root / "data" / "my_classes" / name, 7)
        make_pictures(root / "data" / "real" / name, 3)
        make_pictures(root / "data" / "generated" / name, 3)
    make_autoencoder(root / "runs" / "autoencoder", channels=1)
    make_autoencoder(root / "data" / "autoencoder")
    (root / "my_package.py").write_text(
        "from lightning_nsd.model.unet_encoder import UNetEncoder\n\n\nclass MyEncoder(UNetEncoder):\n    pass\n"
    )
    (root / "small" / "docs" / "images").mkdir(parents=True)
    for name in ("glyphs.yaml", "cifar100.yaml"):
        content = yaml.safe_load(Path(find_config(name)).read_text(encoding="utf-8"))
        for key, value in SMALL[name].items():
            section, argument = key.split(".")
            content["model"][section]["init_args"][argument] = value
        (root / "small" / name).write_text(yaml.safe_dump(content))
    return root


@pytest.fixture(autouse=True)
def _there(made: Path, _elsewhere: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    monkeypatch.syspath_prepend(made)


@pytest.fixture
def checkpoint(made: Path, nsd: Run) -> None:
    """What `make fit` leaves, of a small model; and a second run, for what compares two."""
    if not (made / "last.ckpt").exists():
        command = ["fit", "--config", "glyphs.yaml"]
        status, said = nsd(*command, *shortened(command))
        assert status == 0, said
        shutil.copy(made / "runs" / "glyphs" / "last.ckpt", made / "last.ckpt")
        shutil.copytree(made / "runs" / "glyphs", made / "runs" / "slower", dirs_exist_ok=True)


def unconditional() -> Command:
    """The command that trains the unconditional model."""
    (command,) = (c for c in starting_with("python", "-m", "lightning_nsd", "fit") if "unconditional.yaml" in c.words)
    return command


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small configs under the names of shipped ones, for commands without options for the model. Undoes exactness."""
    jax_before = {name: getattr(jax.config, name) for name in ("jax_enable_x64", "jax_default_matmul_precision")}
    torch_before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    for variable in ("JAX_PLATFORMS", "PJRT_DEVICE"):
        monkeypatch.setenv(variable, os.environ.get(variable, "cpu"))
    monkeypatch.chdir("small")
    yield
    for name, value in jax_before.items():
        jax.config.update(name, value)
    torch.set_float32_matmul_precision(torch_before[0])
    torch.set_num_threads(torch_before[1])


def shortened(arguments: Sequence[str]) -> list[str]:
    """Options that make a command short and its config's model small."""
    without_encoder = "unconditional.yaml" in arguments
    of_model = {key: value for word in arguments for key, value in SMALL.get(word, {}).items()}
    small = [f"--model.{key}={value}" for key, value in of_model.items() if not (without_encoder and "encoder" in key)]
    small += ["--extractor_args.image_size=32"] if "--extractor" in arguments else []
    small += ["--bits_samples=1", "--bits_timesteps=3"] if "--bits_samples" in arguments else []
    return [*SHORT[arguments[0]], *small]


# ---- commands ----


@pytest.mark.parametrize("command", in_parametrize(starting_with("python", "-m", "lightning_nsd")))
@pytest.mark.usefixtures("checkpoint")
def test_a_command_of_the_package_runs(command: Command, nsd: Run) -> None:
    arguments = command.words[3:]
    if "runs/unconditional/last.ckpt" in arguments:
        fit = unconditional().words[3:]
        status, said = nsd(*fit, *shortened(fit))
        assert status == 0, said
    on_a_tpu = command.notebook or "torch_tpu.yaml" in arguments
    if on_a_tpu or command.environment:  # the latter are compiled for a minute: see tests/accelerators/xla
        status, said = nsd(*arguments, "--print_config")
        assert "default_root_dir: " in said
    else:
        status, said = nsd(*arguments, *shortened(arguments))
    assert status == 0, said


@pytest.mark.parametrize("command", in_parametrize(starting_with("python", "-m", "parity_tests")))
@pytest.mark.usefixtures("small")
def test_the_ladder_runs(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lowest rung; parity_tests/test_command.py climbs all of them, and test_precision.py runs a low precision."""
    from parity_tests import command as ladder
    from parity_tests.backends import XLA_MISSING, has_xla

    if "xla" in command.words and not has_xla():
        pytest.skip(XLA_MISSING)
    if "--precision" in command.words:  # has one rung, which takes minutes at real size
        monkeypatch.setattr(ladder, "run", lambda given: int(given.rungs != [ladder.MODULE]))
        assert ladder.main(list(command.words[3:])) == 0
    else:
        assert ladder.main([*command.words[3:], "--rungs=0"]) == 0


@pytest.mark.parametrize("command", in_parametrize(starting_with("python", "-m", "parity_tests.run")))
@pytest.mark.usefixtures("small")
def test_the_run_in_both_frameworks_is_given_what_it_takes(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes it minutes; parity_tests/test_run.py runs it."""
    from parity_tests.run import command as run
    from parity_tests.run.settings import write_config

    def only_settings(given: argparse.Namespace) -> int:
        config, _ = write_config(given.config, Path("out"), given.steps, given.batch_size, given.dtype, given.lr)
        return int(config.max_steps != given.steps)

    monkeypatch.setattr(run, "run", only_settings)
    assert run.main(command.words[3:]) == 0


@pytest.mark.parametrize("command", in_parametrize(starting_with("python", "-m", "jax_reference")))
@pytest.mark.usefixtures("small")
def test_the_reference_is_given_what_it_takes(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes it a minute; parity_tests/test_fit.py trains it."""
    from jax_reference import command as reference
    from jax_reference import train

    trained = []
    monkeypatch.setattr(train, "fit", lambda config, root, max_steps, resume: trained.append((config.path, max_steps)))
    assert reference.main(command.words[3:]) == 0
    assert len(trained) == 1


@pytest.mark.parametrize("command", in_parametrize(starting_with("python", "-m", "parity_tests.sampler_errors")))
@pytest.mark.usefixtures("small")
def test_the_tables_of_samplers_are_made(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from parity_tests import sampler_errors

    for steps in ("TRUTH_STEPS", "PICTURE_STEPS"):
        monkeypatch.setattr(sampler_errors, steps, (3,))
    assert sampler_errors.main(command.words[3:]) == 0
    assert list(Path("docs", "images").glob("*.png"))


BENCHES = {
    "scripts/train_autoencoder.py": ["--data.image_size=8", "--steps=1", "--channels=8", "--levels=2"],
    "bench/latents.py": ["--data.image_size=16", "--config=small/glyphs.yaml", "--rounds=1"],
    "bench/sampling.py": ["--config=small/glyphs.yaml", "--images=1", "--rounds=1"],
    "bench/train_step.py": ["--config=small/cifar100.yaml", "--episodes=1", "--rounds=1", "--mode=eager"],
    "bench/few_shot_accuracy.py": ["--steps=1", "--per_class=1", "--classifier_steps=4"],
    "bench/ilvr.py": [  # a model with an encoder is held to examples too
        "--unconditional=runs/glyphs/last.ckpt",
        "--factors=2",
        "--steps=2",
        "--sets=1",
        "--classifier_steps=4",
    ],
    "bench/quality.py": [
        "--config=small/glyphs.yaml",
        "--steps=2",
        "--seeds=1",
        "--sets=1",
        "--classifier_steps=4",
    ],
}


BENCH_COMMANDS = [command for name in BENCHES for command in starting_with("python", name)]
LONGEST = ("bench/sampling.py", "bench/train_step.py", "bench/ilvr.py", "bench/quality.py")


@pytest.mark.parametrize(
    "command", in_campaign(BENCH_COMMANDS, [c for c in BENCH_COMMANDS if c.words[1] in LONGEST]), ids=str
)
@pytest.mark.usefixtures("checkpoint")
def test_a_bench_runs(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    script = command.words[1]
    monkeypatch.setattr(nn.Module, "compile", lambda module, mode=None: None)  # takes its minute
    monkeypatch.setattr(sys, "argv", [*command.words[1:], *BENCHES[script]])
    monkeypatch.syspath_prepend(ROOT / "bench")  # as it is for a script that is started
    runpy.run_path(str(ROOT / script), run_name="__main__")


@pytest.mark.parametrize("command", in_parametrize(starting_with("python", "-m", "pytest")))
def test_the_tests_that_a_page_names_are_there(command: Command) -> None:
    """They are the suite's own, and run with it."""
    files = [word.partition("::")[0] for word in command.words[3:] if "/" in word]
    assert files
    for file in files:
        assert (ROOT / file).exists(), file


@pytest.mark.parametrize("command", in_parametrize(starting_with("make")))
def test_a_target_of_make_exists(command: Command) -> None:
    target = next(word for word in command.words[1:] if "=" not in word)
    assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


RUN = (
    *(("python", "-m", name) for name in ("lightning_nsd", "jax_reference", "pytest", "parity_tests",
                                          "parity_tests.run", "parity_tests.sampler_errors")),
    *(("python", name) for name in BENCHES),
    ("make",),
)  # fmt: skip
"""How the commands begin that are run above."""


def test_every_command_is_run_or_named_with_a_reason() -> None:
    for command in COMMANDS:
        assert not_run(command) or any(command.words[: len(words)] == words for words in RUN), command


def test_what_is_not_run_is_in_a_page() -> None:
    for what in NOT_RUN:
        assert any(re.match(what, " ".join(command.words)) for command in COMMANDS), what


# ---- Python, languages, links ----


@pytest.mark.parametrize("block", [pytest.param(b, id=b.page) for b in blocks() if b.language == "python"])
@pytest.mark.usefixtures("checkpoint")
def test_a_piece_of_python_runs(block) -> None:
    exec(compile(block.text, block.page, "exec"), {})


def test_every_block_says_what_it_is() -> None:
    for block in blocks():
        assert block.language in (*SHELLS, NOTEBOOK, *OTHER_LANGUAGES), block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    for path in named_files(page):
        assert path.exists(), path


def test_the_readme_is_short_and_links_to_every_other_page() -> None:
    readme = PAGES[0]
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 160
    assert {path.resolve() for path in PAGES[1:]} <= {path.resolve() for path in named_files(readme)}


# ---- what a command is for ----


def test_the_unconditional_baseline_has_distances(nsd: Run) -> None:
    status, said = nsd(*unconditional().words[3:], "--trainer.max_steps=1", "--trainer.val_check_interval=1",
                       "--trainer.callbacks=null", "--data.batch_size=1", "--data.eval_episodes=1",
                       "--data.image_size=8", "--fid.num_samples=4", "--fid.classes=1", "--fid.splits=[val]",
                       "--fid.sampler.num_steps=2", "--model.denoiser.model_channels=8",
                       "--trainer.accelerator=cpu")  # fmt: skip
    assert status == 0, said
    with Path("runs/unconditional/logs/metrics.csv").open() as file:
        found = [row["val/fd_glyphnet/mean"] for row in csv.DictReader(file) if row["val/fd_glyphnet/mean"]]
    assert [float(value) > 0 for value in found] == [True]
