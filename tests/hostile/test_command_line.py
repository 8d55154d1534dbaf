"""Hostile command lines of our own commands: each ends in one sentence before any work is done, or works."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lightning_nsd import cli
from lightning_nsd.checkpoints.io import read_checkpoint, write_atomically
from lightning_nsd.commands.sampler_options import choose_sampler
from lightning_nsd.diffusion.sampler import DDIM, SAMPLERS
from tests.cli.conftest import TINY
from tests.conftest import make_model
from tests.hostile.answer import assert_refused

LONG = "x" * 300


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of one step."""
    root = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        few = ["--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0"]
        assert cli.main(["fit", *TINY, *few, f"--trainer.default_root_dir={root}"]) == 0
    return root


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def here(tmp_path, run):
    """What the command lines below speak of, in the current folder."""
    write_pictures(tmp_path / "support", 3)
    write_pictures(tmp_path / "none", 0)
    for kind in ("real", "generated"):
        write_pictures(tmp_path / kind / "a", 3)
    (tmp_path / "run.ckpt").write_bytes((run / "last.ckpt").read_bytes())
    (tmp_path / "file").write_text("a file")
    (tmp_path / "mine.npz").write_text("another file")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "photo.png").write_bytes((tmp_path / "support" / "0.png").read_bytes())
    write_pictures(tmp_path / "album", 0)
    (tmp_path / "album" / "017.png").write_bytes((tmp_path / "support" / "0.png").read_bytes())
    return tmp_path


SAMPLE = ("sample", "--ckpt_path=run.ckpt", "--support=support", "--num=2")
CONVERT = ("convert", "--input=run.ckpt")
EVALUATE = ("evaluate", "--ckpt_path={run}/last.ckpt", "--num_samples=2", "--classes=2")
FOLDERS = ("evaluate", "--real-dir=real", "--generated-dir=generated", "--extractor=glyphnet")
REFUSED = [
    ((), ("Name a command", "fit", "convert")),
    (("tain",), ("no command tain", "sample")),
    (("--nosuch",), ("--nosuch",)),
    (("sample", "--nosuch=3"), ("--nosuch",)),
    (("sample", "--config=glyphs.yaml"), ("--config",)),
    (("convert", "--config=glyphs.yaml"), ("--config",)),
    (("convert",), ("input", "output")),
    (("push",), ("ckpt_path", "repo")),
    (("push", "--ckpt_path=run.ckpt", "--repo=name"), ("--repo is name", "owner/name")),
    (("sample", "--ckpt_path=support"), ("support", "config.json")),
    (("sample", "--ckpt_path=hf://nobody"), ("hf://nobody", "owner/name")),
    ((*CONVERT, "--output=x", "--licence=mit"), ("--licence", "--format hub")),
    ((*CONVERT, "--output=x", "--format=onnx"), ("format", "hub")),
    (("sample", "--ckpt_path={run}/last.ckpt"), ("support",)),
    (("sample", "--ckpt_path={run}/last.ckpt", "--support=support", "--class_number=1"), ("support", "number")),
    *(((*SAMPLE, f"--class_number={value}"), ("class_number",)) for value in (-1, 10**9, 1.5, "nan", "many")),
    *(((*SAMPLE, f"--num={value}"), ("num", "10,000")) for value in (0, -1, 10**9, 10**30, 2.5, "nan", "many")),
    *(((*SAMPLE, f"--steps={value}"), ("steps",)) for value in (0, -1, 10**12, 1.5, "inf")),
    ((*SAMPLE, "--steps=1001"), ("1001", "1000")),
    *(((*SAMPLE, f"--guidance={value}"), ("guidance",)) for value in (".nan", ".inf", "-.inf", "1e400", "1e30", "x")),
    *(((*SAMPLE, f"--guidance_interval={value}"), ("guidance_interval",)) for value in ("[5]", "[3,1]", "[-1,5]", "x")),
    *(((*SAMPLE, f"--ilvr_factor={value}"), ("ilvr_factor", "whole number")) for value in (1, 2.5)),
    ((*SAMPLE, "--sampler=ddim", "--ilvr_factor=16"), ("ilvr_factor is 16; it must divide the 8 pixels",)),
    ((*SAMPLE, "--sampler=ddim", "--ilvr_factor=2", "--ilvr_until=1000"), ("ilvr_until is 1000", "timestep 999")),
    ((*SAMPLE, "--sampler=ddim", "--ilvr_until=5"), ("ilvr_until", "without", "ilvr_factor")),
    ((*SAMPLE, "--ilvr_factor=2", "--sampler=dpm++"), ("ilvr_factor", "DPMSolverPP", "ddim")),
    ((*SAMPLE, "--npz=grid.zip"), ("grid.zip", ".npz")),
    ((*SAMPLE, "--npz=file/x.npz"), ("file/x.npz", "Not a directory")),
    ((*SAMPLE, "--npz=mine.npz"), ("mine.npz", "there already")),
    *(((*SAMPLE, f"--seed={value}"), ("seed",)) for value in (-1, 10**30, "x", 0.5)),
    ((*SAMPLE, "--sampler=euler"), ("euler", "ddim")),
    ((*SAMPLE, "--support=none"), ("none", "no pictures")),
    ((*SAMPLE, "--support=file"), ("file", "no folder")),
    ((*SAMPLE, "--out=grid.jpg"), ("grid.jpg", ".png")),
    ((*SAMPLE, "--out=file/grid.png"), ("file/grid.png", "Not a directory")),
    ((*SAMPLE, "--out=/dev/full"), ("/dev/full",)),
    ((*SAMPLE, "--out=/dev/full.png"), ("/dev/full", "Not a directory")),
    ((*SAMPLE, "--out=/proc/grid.png"), ("/proc/grid.png", "cannot be written")),
    ((*SAMPLE, "--out=folder.png"), ("folder.png", "Is a directory")),
    ((*SAMPLE, f"--out={LONG}.png"), ("File name too long",)),
    ((*SAMPLE, f"--out=new/{LONG}.png"), ("File name too long",)),
    ((*SAMPLE, "--out=photo.png"), ("photo.png", "not of an earlier sample")),
    ((*SAMPLE, "--out=album.png"), ("album/017.png", "not of an earlier sample")),
    ((*CONVERT, "--output=file/x.ckpt"), ("file/x.ckpt", "Not a directory")),
    ((*CONVERT, "--output=file/x.safetensors"), ("file/x.safetensors", "Not a directory")),
    ((*CONVERT, "--output=file/x"), ("file/x", "Not a directory")),
    ((*CONVERT, "--output=/dev/full"), ("/dev/full", "exists")),
    ((*CONVERT, "--output=/proc/x.ckpt"), ("/proc/x.ckpt", "cannot be written")),
    ((*CONVERT, "--output=none"), ("none", "exists")),
    ((*CONVERT, "--output=x.zip"), ("x.zip", ".safetensors")),
    *(((*CONVERT, f"--output={LONG}{suffix}"), ("File name too long",)) for suffix in ("", ".ckpt", ".safetensors")),
    (("convert", "--input=nosuch.ckpt", "--output=x"), ("nosuch.ckpt",)),
    ((*EVALUATE, "--config=nosuch.yaml"), ("nosuch.yaml", "glyphs.yaml")),
    ((*EVALUATE, "--config=wandb.yaml"), ("wandb.yaml", "data")),
    ((*EVALUATE, "--config=file"), ("file",)),
    ((*EVALUATE, "--config=folder.png"), ("folder.png",)),
    ((*EVALUATE, "--out=file/x"), ("file/x", "Not a directory")),
    ((*EVALUATE, "--out=file"), ("file", "Not a directory")),
    ((*EVALUATE, "--out=/dev/full"), ("/dev/full", "Not a directory")),
    ((*EVALUATE, "--image_size=8"), ("image_size",)),
    ((*EVALUATE, "--steps=1001"), ("1001", "1000")),
    ((*EVALUATE, "--guidance_interval=[5]"), ("guidance_interval",)),
    ((*EVALUATE, "--sampler=euler"), ("euler", "ddim")),
    ((*EVALUATE, "--sampler=ddim", "--ilvr_factor=3"), ("ilvr_factor is 3; it must divide the 8 pixels",)),
    ((*EVALUATE, "--npz=mine.npz"), ("mine.npz", "there already")),
    ((*FOLDERS, "--sampler=ddim", "--steps=3", "--guidance=2"), ("--sampler, --steps, --guidance", "checkpoint")),
    ((*FOLDERS, "--ilvr_factor=2", "--ilvr_until=1"), ("--ilvr_factor, --ilvr_until", "checkpoint")),
    ((*FOLDERS, "--npz=x.npz", "--guidance_interval=[1,2]"), ("--guidance_interval, --npz", "checkpoint")),
    ((*FOLDERS, "--out=file"), ("file", "Not a directory")),
    ((*FOLDERS, f"--out={LONG}"), ("File name too long",)),
    ((*FOLDERS, "--config=glyphs.yaml"), ("--config",)),
    *(((*FOLDERS, f"--image_size={value}"), ("image_size", "1,024")) for value in (-4, 0, 100000, 1.5, "big")),
    *(((*FOLDERS, f"--num_samples={value}"), ("num_samples",)) for value in (-1, 0, 1, 10**12, "nan")),
    *(((*FOLDERS, f"--min_samples={value}"), ("min_samples",)) for value in (-1, 10**12)),
    *(((*FOLDERS, f"--batch_size={value}"), ("batch_size",)) for value in (0, 10**9)),
    *(((*FOLDERS, f"--mixture_samples={value}"), ("mixture_samples",)) for value in (-1, 10**12)),
    *(((*FOLDERS, f"--bits_timesteps={value}"), ("bits_timesteps",)) for value in (2, 10**12)),
    *(((*FOLDERS, f"--bits_samples={value}"), ("bits_samples",)) for value in (-1, 1, 10**12)),
    *(((*FOLDERS, f"--classes={value}"), ("classes",)) for value in (0, -1, "[nosuch]")),
    ((*FOLDERS, "--real-dir=nosuch"), ("nosuch", "folder")),
    ((*FOLDERS, "--extractor=incepton"), ("incepton",)),
]


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize(("arguments", "names"), REFUSED, ids=[" ".join(a)[-60:] or "nothing" for a, _ in REFUSED])
def test_a_hostile_command_line_is_one_sentence_and_leaves_everything_as_it_was(arguments, names, here, run, answer):
    before = everything_in(here)
    assert_refused(answer(*(argument.format(run=run) for argument in arguments)), *names)
    assert everything_in(here) == before


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_help_and_version_have_the_status_0(option, answer):
    status, said = answer(option)
    assert status == 0
    assert ("0.1.0" if option == "--version" else "evaluate") in said


@pytest.mark.parametrize("command", ["sample", "evaluate", "convert", "push"])
def test_a_command_of_our_own_has_no_options_but_its_function_s(command, answer):
    status, said = answer(command, "--help")
    assert status == 0
    assert f"usage: python -m lightning_nsd {command}" in said
    assert "--print_config" not in said


# ---- text that is not ours ----


@pytest.mark.parametrize("name", ["[red]x", "a[/b]c", "[link=x]", ":smile:", "[/]", "\\[x]", "ü×"])
def test_a_path_is_printed_as_it_is(name, here, answer):
    for arguments in ((*SAMPLE, "--steps=2", f"--out={name}.png"), (*CONVERT, f"--output={name}.safetensors")):
        status, said = answer(*arguments)
        assert status == 0, said
        assert name in said
    assert (here / f"{name}.png").is_file()


def test_a_run_s_folder_and_classes_are_printed_as_they_are(here, run, answer):
    status, said = answer("evaluate", f"--ckpt_path={run}/last.ckpt", "--num_samples=2", "--classes=2", "--out=a[/b]c")
    assert status == 0, said
    assert "a[/b]c/distances" in said
    for kind in ("real", "generated"):
        write_pictures(here / kind / "[red]x", 3)
    status, said = answer(*FOLDERS)
    assert status == 0, said
    assert "[red]x" in said


# ---- what sample leaves ----


def test_sample_replaces_its_own_pictures_alone_and_says_so(here, answer):
    assert answer(*SAMPLE, "--steps=2", "--num=4", "--out=g.png").status == 0
    (here / "g" / "notes.txt").write_text("mine")
    status, said = answer(*SAMPLE, "--steps=2", "--num=2", "--out=g.png")
    assert status == 0
    assert "The 4 of an earlier call are gone" in said
    assert sorted(path.name for path in (here / "g").iterdir()) == ["000.png", "001.png", "notes.txt"]


def test_sample_never_writes_into_its_support_set(here, answer):
    (here / "support" / "0.png").rename(here / "support" / "000.png")
    assert_refused(answer(*SAMPLE, "--out=support.png"), "support/000.png")


def changed(path: Path, how) -> Path:
    checkpoint = dict(read_checkpoint(path))
    checkpoint["state_dict"] = {key: how(value) for key, value in checkpoint["state_dict"].items()}
    write_atomically(checkpoint, path)
    return path


def test_weights_that_are_not_finite_are_refused(here, answer):
    changed(here / "run.ckpt", lambda value: torch.full_like(value, torch.nan))
    assert_refused(answer(*SAMPLE, "--steps=2", "--out=g.png"), "run.ckpt", "not finite")
    assert not (here / "g.png").exists()


def test_images_that_are_not_finite_are_not_written(here, answer):
    changed(here / "run.ckpt", lambda value: value * 1e30 if value.dtype.is_floating_point else value)
    assert_refused(answer(*SAMPLE, "--steps=2", "--out=g.png"), "not finite")
    assert not (here / "g.png").exists()


# ---- evaluate --config ----


def evaluated(here: Path) -> dict:
    return json.loads(next(here.glob("out/distances/*/per_class.json")).read_text())


@pytest.mark.parametrize("form", ["--config={}", "--config {}"])
def test_a_checkpoint_is_evaluated_on_other_data(form, here, run, answer):
    for name in ("left", "right"):
        write_pictures(here / "other" / name, 6)
    section = {"class_path": "ClassFolder", "init_args": {
        "root": str(here / "other"), "image_size": 8, "channels": 1, "n_shot": 3, "val_fraction": 0.0,
        "test_fraction": 0.5}}  # fmt: skip
    settings = {
        "extractor": "glyphnet",
        "num_samples": 2,
        "sampler": {"class_path": "DDIM", "init_args": {"num_steps": 2}},
    }
    (here / "other.yaml").write_text(yaml.safe_dump({"data": section, "fid": settings}))
    status, said = answer("evaluate", f"--ckpt_path={run}/last.ckpt", *form.format("other.yaml").split(), "--out=out")
    assert status == 0, said
    found = {row["class"] for row in evaluated(here)["classes"]}
    assert found and found <= {"left", "right"}


def test_configs_are_laid_over_each_other(here, run, answer):
    (here / "small.yaml").write_text("data: {init_args: {image_size: 8, n_shot: 3, eval_seed: 5}}\n")
    (here / "fast.yaml").write_text("fid: {num_samples: 3, sampler: {class_path: DDIM, init_args: {num_steps: 2}}}\n")
    configs = ("--config=glyphs.yaml", "--config=small.yaml", "--config=fast.yaml")
    status, said = answer("evaluate", f"--ckpt_path={run}/last.ckpt", *configs, "--classes=2", "--out=out")
    assert status == 0, said
    found = evaluated(here)
    assert (found["seed"], found["num_samples"], found["extractor"]) == (5, 3, "glyphnet")


# ---- sample: the checkpoint's sampler with changes, support sets of other sizes ----


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [
        (DDIM(7, eta=0.5, clip=False), {"steps": 4}, {"num_steps": 4, "eta": 0.5, "clip": False}),
        (DDIM(7, eta=0.5, guidance=2.0), {"guidance": 3.0}, {"num_steps": 7, "eta": 0.5, "guidance": 3.0}),
        (DDIM(timesteps=[1, 5, 9], eta=1.0), {"guidance": 3.0}, {"timesteps": [1, 5, 9], "eta": 1.0}),
        (DDIM(timesteps=[1, 5, 9], eta=1.0), {"steps": 2}, {"timesteps": None, "num_steps": 2, "eta": 1.0}),
        (DDIM(7, clip=False, guidance=2.0), {"name": "dpm++"}, {"num_steps": 7, "clip": False, "guidance": 2.0}),
        (DDIM(timesteps=[1, 5, 9]), {"name": "dpm++"}, {"timesteps": [1, 5, 9], "num_steps": None}),
        (DDIM(7, eta=0.5), {"name": "ddim"}, {"num_steps": 7, "eta": 0.5}),
    ],
)
def test_what_is_not_asked_for_stays_as_the_checkpoint_has_it(own, asked, expected):
    chosen = choose_sampler(
        make_model(sampler=own, context_dropout=0.1), asked.get("name"), asked.get("steps"), asked.get("guidance")
    )
    assert type(chosen) is SAMPLERS.get(asked.get("name"), DDIM)
    assert {name: getattr(chosen, name) for name in expected} == expected


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_support_set_has_any_size_where_the_encoder_takes_any(count, here, answer):
    write_pictures(here / "other", count)
    status, said = answer(*SAMPLE, "--steps=2", "--support=other")
    assert status == 0, said


def test_an_encoder_of_one_size_says_which(here, answer, monkeypatch):
    monkeypatch.setattr("lightning_nsd.commands.sample.load_checkpoint", lambda *_: make_model())
    write_pictures(here / "other", 2)
    assert_refused(answer(*SAMPLE, "--steps=2", "--support=other"), "SetViT was built for 3 images", "got 2")
