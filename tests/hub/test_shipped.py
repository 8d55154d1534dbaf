"""The model that is part of the package: there, small, whole, and what is drawn from where none is named."""

import copy
import fnmatch
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from safetensors.torch import load_file

import lightning_nsd
from lightning_nsd.checkpoints.places import SHIPPED
from lightning_nsd.commands.sample import shipped_support
from lightning_nsd.diffusion.sampler import DPMSolverPP
from lightning_nsd.module import FewShotDiffusion
from tests.cli.conftest import ROOT

LEVEL_OF_GREY = 1 / 127.5


def test_it_is_small_and_in_float16():
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*")) < 8_000_000
    assert {value.dtype for value in load_file(SHIPPED / "model.safetensors").values()} == {torch.float16}


def test_it_is_a_few_shot_model_of_shipped_data_that_any_number_of_pictures_suits():
    model = lightning_nsd.load()
    assert isinstance(model, FewShotDiffusion)
    assert (model.image_size, model.channels, model.takes_any_set_size) == (16, 1, True)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_its_card_says_whose_it_is_and_how_it_was_made():
    card = ModelCard.load(SHIPPED / "README.md")
    assert card.data.license == "apache-2.0"
    assert "ATTRIBUTION.md" in card.text
    assert "| command | `python -m lightning_nsd fit " in card.text
    assert {result.dataset_split for result in card.data.eval_results} == {"val", "test"}
    pictures = sorted(path.name.partition("_")[0] for path in (SHIPPED / "samples").iterdir())
    assert pictures == ["test", "train", "val"]


def test_it_is_of_the_files_that_are_packed():
    """Neither left out by the wheel's list nor ignored by git, whose list the builder follows too."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert "lightning_nsd" in build["wheel"]["packages"]
    assert "/lightning_nsd" in build["sdist"]["include"]
    files = [path.relative_to(ROOT).as_posix() for path in SHIPPED.rglob("*") if path.is_file()]
    assert len(files) == 6
    assert not [file for file in files for left_out in build["wheel"]["exclude"] if fnmatch.fnmatch(file, left_out)]
    if shutil.which("git") and (ROOT / ".git").exists():
        ignored = subprocess.run(["git", "check-ignore", *files], cwd=ROOT, capture_output=True, text=True)
        assert ignored.stdout == ""


def test_rounding_its_weights_moves_no_pixel_by_a_level_of_grey():
    """The weights before they were rounded are not here: others are, that would have been rounded to these."""
    model = lightning_nsd.load()
    support = torch.stack([shipped_support(16, 5)])
    sampler = DPMSolverPP(num_steps=15, guidance=2.0, guidance_interval=[200, 700])

    def draw(of: FewShotDiffusion) -> torch.Tensor:
        return of.sample(support, 8, torch.Generator().manual_seed(0), sampler)

    unrounded, rng = copy.deepcopy(model), torch.Generator().manual_seed(0)
    for parameter in unrounded.parameters():
        half = parameter.data.half()
        ends = [torch.nextafter(half, torch.full_like(half, end)).float() for end in (torch.inf, -torch.inf)]
        gap = torch.minimum(ends[0] - parameter.data, parameter.data - ends[1])  # to the nearest other float16
        parameter.data += 0.49 * gap * (2 * torch.rand(parameter.shape, generator=rng) - 1)
        assert torch.equal(parameter.data.half(), half)
    assert 0 < (draw(unrounded) - draw(model)).abs().max() < LEVEL_OF_GREY


@pytest.mark.parametrize("named", [False, True])
def test_sample_draws_with_it_where_no_checkpoint_is_named_and_says_so(nsd, named):
    if named:
        Path("pictures").mkdir()
        for number in range(3):
            Image.new("L", (20, 20), 60 * number).save(f"pictures/{number}.png")
    status, said = nsd("sample", "--num", 2, "--steps", 2, *(["--support", "pictures"] if named else []))
    assert status == 0
    assert "No --ckpt_path: the shipped model draws characters at 16 × 16 pixels" in said
    assert ("No --support: 5 shipped pictures of hebrew/05D0" in said) != named
    assert Path("grid.png").is_file()
    assert len(list(Path("grid").glob("*.png"))) == 2


def test_another_model_still_asks_for_pictures(folder, nsd):
    status, said = nsd("sample", "--ckpt_path", folder)
    assert status == 2
    assert "--support" in said
