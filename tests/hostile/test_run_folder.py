"""Whatever befalls a run's folder, no work is lost, and exit status and summary say what is there."""

import contextlib
import errno
import hashlib
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback

from lightning_nsd.callbacks import run_checkpoint
from lightning_nsd.callbacks.run_start import RunStart
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.cli import main
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.runs import lock
from lightning_nsd.runs.branch import BRANCH_FILE, newest_readable
from lightning_nsd.runs.folder import contents, take_over
from tests.cli.conftest import CACHE, TINY
from tests.hostile.answer import assert_refused
from tests.training.conftest import run

RUN = [*TINY, "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0", "--fid.when=never",
       "--checkpoint.every_n_train_steps=2", "--model.lr_schedule.annealing=none"]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of six steps: checkpoints of steps 4 and 6."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(CACHE))
        assert main(["fit", *RUN, f"--trainer.default_root_dir={root}", "--trainer.max_steps=6"]) == 0
    return root


@pytest.fixture
def used(finished, tmp_path):
    """A copy of it with hard links, as it was."""
    root = tmp_path / "used"
    shutil.copytree(finished, root)
    (root / "last.ckpt").unlink()
    os.link(root / "checkpoints" / "step=00000006.ckpt", root / "last.ckpt")
    return root


@pytest.fixture
def fit(answer):
    """Trains in a folder up to a step."""
    return lambda root, steps, *more: answer(
        "fit", *RUN, f"--trainer.default_root_dir={root}", f"--trainer.max_steps={steps}", *more
    )


def step_of(path):
    return read_checkpoint(path)["global_step"]


def kept(root):
    """What every file of a run is made of, by name; what a lock leaves is no part of it."""
    files = (path for path in root.rglob("*") if path.is_file() and path.parent.name != ".run")
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def checkpoints(root):
    """The content of all checkpoints anywhere in a folder."""
    return {digest for name, digest in kept(root).items() if name.endswith(".ckpt")}


# ---- places ----


PLACES = {
    "a file": lambda folder: folder / "file",
    "below a file": lambda folder: folder / "file" / "run",
    "a name too long": lambda folder: folder / ("x" * 300),
    "a device": lambda folder: Path("/dev/full"),
    "a file system of the kernel": lambda folder: Path("/proc/run"),
}


@pytest.mark.parametrize(("command", "place"), [*(("fit", place) for place in PLACES), ("validate", "a file")])
def test_a_folder_that_cannot_be_written_is_named_before_any_work(place, command, answer, tmp_path, monkeypatch):
    def load(*_):
        raise AssertionError("data was loaded before the folder was tried")

    monkeypatch.setattr(Glyphs, "load_split", load)
    (tmp_path / "file").write_text("mine")
    root = PLACES[place](tmp_path)
    assert_refused(answer(command, *RUN, f"--trainer.default_root_dir={root}"), str(root), "cannot be written")


# ---- who writes ----


def test_two_fits_in_one_folder_are_one_too_many_and_the_other_is_named(fit, tmp_path):
    with lock.locked(tmp_path):
        assert_refused(fit(tmp_path, 2), str(tmp_path), f"process {os.getpid()} on")
    assert not (tmp_path / "last.ckpt").exists()
    assert fit(tmp_path, 1).status == 0


def hold(root, held):
    with lock.locked(root):
        held.set()
        time.sleep(60)


def test_a_killed_process_holds_no_lock(tmp_path):
    processes = multiprocessing.get_context("fork")
    held = processes.Event()
    process = processes.Process(target=hold, args=(tmp_path, held))
    process.start()
    assert held.wait(60)
    with pytest.raises(Exception, match=f"process {process.pid} on"), lock.locked(tmp_path):
        pass
    process.kill()
    process.join()
    with lock.locked(tmp_path):
        pass


def test_a_refused_start_holds_no_lock(fit, used):
    assert fit(used, 7, "--ckpt_path=last", "--model.denoiser.model_channels=16").status == 2
    with lock.locked(used):
        pass


# ---- starts that are refused, and commands that train nothing ----

REFUSED = {
    "no such data": ["--data.class_path=ClassFolder", "--data.root=nowhere"],
    "no such class": ["--fid.when=last", "--fid.classes=[nosuch]", "--trainer.limit_val_batches=1.0"],
    "another model": ["--ckpt_path=last", "--model.denoiser.model_channels=16"],
    "another optimiser": ["--ckpt_path=last", "--model.optimizer=torch.optim.RMSprop"],
    "no such checkpoint": ["--ckpt_path=nosuch.ckpt"],
    "no last step to anneal to": ["--trainer.max_steps=-1", "--model.lr_schedule.annealing=linear",
                                  "--trainer.max_epochs=-1"],
}  # fmt: skip
NO_FIT = {
    "validate": ["validate"],
    "test": ["test"],
    "predict": ["predict"],
    "fast_dev_run": ["fit", "--trainer.fast_dev_run=true"],
    "fast_dev_run of a resume": ["fit", "--trainer.fast_dev_run=2", "--ckpt_path=last"],
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_start_that_is_refused_leaves_the_earlier_run_as_it_was(case, fit, used):
    before = kept(used)
    answered = fit(used, 9, *REFUSED[case])
    assert answered.status == 2, answered.said
    after = kept(used)
    assert {name: after.get(name) for name in before} == before
    assert not list(used.glob("earlier-*"))


@pytest.mark.parametrize("case", NO_FIT)
def test_a_command_that_trains_nothing_leaves_the_run_and_its_config(case, answer, used):
    before = kept(used)
    command, *options = NO_FIT[case]
    if command != "fit":
        options = [f"--ckpt_path={used / 'last.ckpt'}", "--trainer.limit_val_batches=1"]
    answered = answer(command, *RUN, f"--trainer.default_root_dir={used}", "--data.batch_size=3", *options)
    assert answered.status == 0, answered.said
    after = kept(used)
    assert {name: after.get(name) for name in before} == before


# ---- starts in a used folder ----


def lose_last(root):
    (root / "last.ckpt").unlink()


def lose_numbered(root):
    shutil.rmtree(root / "checkpoints")


def lose_record(root):
    (root / BRANCH_FILE).unlink()


def lose_nothing(root):
    pass


@pytest.mark.parametrize(
    ("lose", "foreign"),
    [(lose_nothing, True), (lose_last, False), (lose_last, True), (lose_numbered, True), (lose_record, False)],
)
def test_a_run_that_does_not_continue_the_folders_sets_it_aside_whole(lose, foreign, fit, used, finished):
    lose(used)
    before = kept(used)
    more = ["--checkpoint.every_n_train_steps=1", *([f"--ckpt_path={finished / 'last.ckpt'}"] if foreign else [])]
    assert fit(used, 8, *more).status == 0
    aside = kept(used / "earlier-1")
    assert {name: aside.get(name) for name in before} == before
    assert step_of(used / "last.ckpt") == 8


def test_what_is_set_aside_can_be_continued_where_it_is(fit, used):
    assert fit(used, 1).status == 0
    assert fit(used / "earlier-1", 8, "--ckpt_path=last").status == 0
    assert step_of(used / "earlier-1" / "last.ckpt") == 8
    assert step_of(used / "last.ckpt") == 1


def test_other_files_in_the_folder_stay_where_they_are(fit, used):
    for name in ("notes.txt", "checkpoints/mine.ckpt", "data/1.png"):
        (used / name).parent.mkdir(exist_ok=True)
        (used / name).write_text("mine")
    assert fit(used, 1).status == 0
    assert (used / "notes.txt").exists()
    assert (used / "data" / "1.png").exists()
    assert {path.read_text() for path in used.rglob("mine.ckpt")} == {"mine"}


def test_a_folder_without_a_run_is_left_alone(fit, tmp_path):
    for name in ("samples/1.png", "logs/mine.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("mine")
    assert fit(tmp_path, 1).status == 0
    assert not list(tmp_path.glob("earlier-*"))
    assert (tmp_path / "samples" / "1.png").read_text() == "mine"


# ---- the branch ----


@pytest.mark.parametrize(
    ("lose", "how"),
    [(lose_nothing, "kept"), (lose_nothing, "damaged"), (lose_nothing, "removed"), (lose_record, "damaged")],
)
def test_last_follows_the_branch_that_was_gone_back_to(lose, how, fit, used):
    lose(used)
    abandoned = checkpoints(used)
    assert fit(used, 5, f"--ckpt_path={used / 'checkpoints' / 'step=00000004.ckpt'}").status == 0
    assert step_of(used / "last.ckpt") == 5
    assert abandoned <= checkpoints(used)
    assert step_of(used / "earlier-1" / "last.ckpt") == 6
    assert {path.name for path in (used / "checkpoints").iterdir()} == {"step=00000004.ckpt", "step=00000005.ckpt"}
    if how == "damaged":
        os.replace(shutil.copy(used / "last.ckpt", used / "copy"), used / "last.ckpt")
        (used / "last.ckpt").write_bytes(b"damaged")
    elif how == "removed":
        lose_last(used)
    assert step_of(newest_readable(used)) == 5


def test_gone_back_and_killed_before_the_next_checkpoint_last_is_where_it_went_back_to(used, tmp_path):
    older = used / "checkpoints" / "step=00000004.ckpt"

    class Trainer:
        is_global_zero, ckpt_path, global_step = True, str(older), 4

    RunStart(used, "").on_train_start(Trainer(), None)
    assert step_of(newest_readable(used)) == 4
    lose_last(used)
    assert step_of(newest_readable(used)) == 4


@pytest.mark.parametrize("goes_back", [False, True], ids=["anew", "back"])
@pytest.mark.parametrize("calls", range(5))
def test_a_kill_while_room_is_made_loses_nothing(calls, goes_back, used, monkeypatch):
    """Killed at any of its moves and started again, until it has made room."""
    before = checkpoints(used)
    older = used / "checkpoints" / "step=00000004.ckpt" if goes_back else None
    move, left = shutil.move, [calls]

    def move_or_die(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return move(*arguments)

    monkeypatch.setattr(shutil, "move", move_or_die)
    with contextlib.suppress(KeyboardInterrupt):
        take_over(used, contents(used), older, 4 if goes_back else 0)
    assert checkpoints(used) == before
    monkeypatch.undo()
    take_over(used, contents(used), older, 4 if goes_back else 0)
    assert checkpoints(used) == before
    if goes_back:
        assert step_of(newest_readable(used)) == 4
    else:
        assert contents(used) == [used / BRANCH_FILE]


def test_a_kill_between_a_checkpoint_and_its_second_name_loses_nothing(used):
    os.replace(shutil.copy(used / "checkpoints" / "step=00000004.ckpt", used / "copy"), used / "last.ckpt")
    assert step_of(newest_readable(used)) == 6


def test_only_what_the_run_wrote_is_pruned(tmp_path):
    run(tmp_path, 3, every=1)
    stranger = tmp_path / "checkpoints" / "step=00000000.ckpt"
    stranger.write_bytes(b"put here by hand")
    run(tmp_path, 6, every=1, ckpt_path=tmp_path / "last.ckpt")
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step=00000000.ckpt", "step=00000005.ckpt", "step=00000006.ckpt"]


def test_what_a_kill_left_unfinished_is_removed_by_the_next_start(fit, used):
    litter = [used / ".last.ckpt.12.tmp", used / "checkpoints" / ".step=00000008.ckpt.12.tmp"]
    other = used / ".mine.12.tmp"
    for path in (*litter, other):
        path.write_bytes(b"half")
    assert fit(used, 7, "--ckpt_path=last").status == 0
    assert not any(path.exists() for path in litter)
    assert other.exists()


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
