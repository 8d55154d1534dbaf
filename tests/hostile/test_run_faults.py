"""Whatever keeps a run from writing or going on, its exit status and its summary say what is there."""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from lightning_nsd.callbacks import run_checkpoint
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.runs.branch import newest_readable
from tests.hostile.answer import assert_refused
from tests.hostile.make_run import RUN, step_of

# ---- writing fails ----


class Fault(Callback):
    """Befalls a run at its third step."""

    def __init__(self, action):
        self.action = action

    def on_train_batch_start(self, trainer, pl_module, *_):
        if trainer.global_step == 2:
            self.action(trainer, pl_module)


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def unsupported(*_, **__):
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.fixture
def befall(fit, monkeypatch):
    """Trains six steps, and something happens at the third."""

    def act(root, action, *more):
        original = Glyphs.setup

        def setup(data, stage):
            original(data, stage)
            data.trainer.callbacks.append(Fault(action))

        monkeypatch.setattr(Glyphs, "setup", setup)
        return fit(root, 6, *more)

    return act


def named_checkpoints(said):
    """Every checkpoint that the summary and the error name."""
    end = said[said.index("Run ") if "Run finished" in said or "Run ended" in said else said.index("error:") :]
    return {Path(name) for name in re.findall(r"(/\S+\.ckpt)", end)}


def poison_average(trainer, pl_module):
    next(pl_module.ema.parameters()).data.fill_(float("nan"))


def disk_is_full(monkeypatch):
    return lambda *_: monkeypatch.setattr(torch, "save", full)


def record_cannot_be_written(monkeypatch):
    return lambda *_: monkeypatch.setattr(run_checkpoint, "record_branch", full)


def weights_are_not_finite(monkeypatch):
    return poison_average


@pytest.mark.parametrize("fault", [disk_is_full, record_cannot_be_written, weights_are_not_finite])
@pytest.mark.parametrize("every", [2, 100], ids=["one before", "none before"])
def test_an_end_that_is_not_saved_is_no_good_end(fault, every, befall, tmp_path, monkeypatch):
    answered = befall(tmp_path, fault(monkeypatch), f"--checkpoint.every_n_train_steps={every}")
    monkeypatch.undo()
    assert_refused(answered, "step 6" if fault is not weights_are_not_finite or every == 100 else "step 4")
    assert "Run finished" not in answered.said
    for path in named_checkpoints(answered.said) - {tmp_path / "checkpoints" / "step=00000006.ckpt"}:
        assert path.exists()
    if every == 2:
        assert str(tmp_path / "last.ckpt") in answered.message
        assert step_of(tmp_path / "last.ckpt") == 2
    else:
        assert "There is no checkpoint" in answered.message
        assert not list(tmp_path.rglob("*.ckpt"))


def test_where_there_are_no_hard_links_copies_are_made(fit, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", unsupported)
    answered = fit(tmp_path, 7)
    assert answered.status == 0
    assert "could not" not in answered.said
    assert step_of(tmp_path / "last.ckpt") == 7
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    assert str(tmp_path / "last.ckpt") in answered.said


def test_a_second_name_that_cannot_be_given_is_a_warning_and_the_first_is_found(befall, tmp_path, monkeypatch):
    answered = befall(tmp_path, lambda *_: monkeypatch.setattr(run_checkpoint, "link_atomically", full))
    assert answered.status == 0
    assert step_of(tmp_path / "last.ckpt") == 2
    assert str(tmp_path / "checkpoints" / "step=00000006.ckpt") in answered.said
    assert step_of(newest_readable(tmp_path)) == 6
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_a_folder_that_is_deleted_under_the_run_is_made_again(befall, tmp_path):
    root = tmp_path / "run"
    answered = befall(root, lambda *_: shutil.rmtree(root))
    assert "Traceback" not in answered.said
    assert answered.status == 0, answered.said
    assert step_of(root / "last.ckpt") == 6


def test_a_folder_that_becomes_a_file_ends_in_a_sentence(befall, tmp_path):
    root = tmp_path / "run"

    def replace(*_):
        shutil.rmtree(root)
        root.write_text("a file")

    assert_refused(befall(root, replace), str(root), "There is no checkpoint")


def test_a_limit_on_the_size_of_files_is_said_and_ends_with_a_status(tmp_path):
    code = "import resource, sys\nfrom lightning_nsd.cli import main\n" \
           "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\nsys.exit(main(sys.argv[1:]))"  # fmt: skip
    arguments = ["fit", *RUN, f"--trainer.default_root_dir={tmp_path}", "--trainer.max_steps=3"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert "File too large. There is no checkpoint" in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.tmp"))


# ---- checkpoints that are turned off ----


@pytest.mark.parametrize("option", ["enable_checkpointing=false", "barebones=true", "fast_dev_run=true"])
def test_a_run_without_checkpoints_works_and_says_that_it_has_none(option, fit, tmp_path):
    answered = fit(tmp_path, 2, f"--trainer.{option}")
    assert answered.status == 0, answered.said
    assert "checkpoints are turned off" in answered.said
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_run_without_a_progress_bar_works(fit, tmp_path):
    answered = fit(tmp_path, 2, "--trainer.enable_progress_bar=false")
    assert answered.status == 0, answered.said
    assert "Epoch" not in answered.said
    assert (tmp_path / "last.ckpt").exists()


@pytest.mark.parametrize("name", ["a[/b]c", "[red]x"])
def test_the_folder_of_a_run_is_printed_as_it_is(name, fit, tmp_path):
    root = tmp_path / name
    for _ in range(2):
        answered = fit(root, 1)
        assert answered.status == 0, answered.said
        assert str(root / "last.ckpt") in "".join(answered.said.split("\n"))
    assert (root / "earlier-1" / "last.ckpt").exists()


# ---- a loss that is not finite ----


@pytest.mark.parametrize(
    ("options", "before"),
    [
        pytest.param([], True, id="one rate"),
        pytest.param(["--model.encoder_lr=1e-3", "--model.denoiser_lr=3e-3"], True, id="two rates"),
        pytest.param(["--checkpoint.every_n_train_steps=100"], False, id="no checkpoint yet"),
    ],
)
def test_the_command_that_a_loss_that_is_not_finite_advises_works(options, before, befall, fit, tmp_path, monkeypatch):
    def poison(trainer, pl_module):
        next(pl_module.model.denoiser.parameters()).data.fill_(float("nan"))

    answered = befall(tmp_path, poison, *options)
    monkeypatch.undo()
    assert_refused(answered, "loss is nan at step 2")
    advised = re.search(r"`(.+)`", answered.message)[1].split()
    assert ("--ckpt_path" in advised) == before
    again = fit(tmp_path, 4, *options, *advised)
    assert again.status == 0, again.said
    groups = read_checkpoint(tmp_path / "last.ckpt")["optimizer_states"][0]["param_groups"]
    rates = [group["initial_lr"] for group in groups]
    assert rates == pytest.approx([1e-4, 3e-4] if len(options) == 2 else [2e-4, 2e-4])
