"""Whatever befalls a run's folder, no work is lost, and exit status and summary say what is there."""

import contextlib
import hashlib
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import pytest

from lightning_nsd.callbacks.run_start import RunStart
from lightning_nsd.cli import main
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.runs import lock
from lightning_nsd.runs.branch import BRANCH_FILE, newest_readable
from lightning_nsd.runs.folder import contents, take_over
from tests.cli.conftest import CACHE
from tests.hostile.answer import assert_refused
from tests.hostile.make_run import RUN, step_of
from tests.training.conftest import run


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
    "an optimiser that does not fit": ["--model.optimizer=torch.optim.SparseAdam"],
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


RESULTS = (
    "samples/val_step={}.png",
    "distances/val_fid_step={}/per_class.json",
    "chain/step={}.png",
    "predictions/step={}_2/x",
)


def results(root):
    """The steps whose results lie in a run's folder, by what they are."""
    return {name: {step for step in range(9) if (root / name.format(f"{step:08d}")).exists()} for name in RESULTS}


@pytest.mark.parametrize("pruned", [False, True], ids=["checkpoints kept", "checkpoints pruned"])
def test_what_abandoned_weights_made_is_not_taken_for_that_of_the_new_ones(pruned, used):
    for name in RESULTS:
        for step in (4, 6):
            path = used / name.format(f"{step:08d}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"made")
    if pruned:
        (used / "checkpoints" / "step=00000006.ckpt").unlink()
    take_over(used, contents(used), used / "checkpoints" / "step=00000004.ckpt", 4)
    assert all(found & {4, 6} == {4} for found in results(used).values())
    assert all(found & {4, 6} == {6} for found in results(used / "earlier-1").values())


def test_a_run_that_goes_on_from_its_newest_checkpoint_moves_nothing(used):
    picture = used / "samples" / "val_step=00000008.png"  # drawn between its last checkpoint and its end
    picture.parent.mkdir(exist_ok=True)
    picture.write_bytes(b"made")
    take_over(used, contents(used), used / "last.ckpt", 6)
    assert picture.exists() and not (used / "earlier-1").exists()


def test_gone_back_and_killed_before_the_next_checkpoint_last_is_where_it_went_back_to(used, tmp_path):
    older = used / "checkpoints" / "step=00000004.ckpt"

    class Trainer:
        is_global_zero, ckpt_path, global_step = True, str(older), 4

    RunStart(used, "", {}).on_train_start(Trainer(), None)
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
