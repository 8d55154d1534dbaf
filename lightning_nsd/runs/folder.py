"""The folder of a run: what lies in it, and how earlier work makes room for a run that does not continue it.

A run never removes what another run wrote. What it does not continue is moved to `earlier-1`, `earlier-2`, … in the
same folder, each of them a run's folder again.
"""

import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryFile

from lightning.pytorch.utilities import rank_zero_info

from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import link_atomically, unfinished
from lightning_nsd.runs.branch import BRANCH_FILE, CHECKPOINT_FOLDER, LAST, continued, numbered, record_branch

LOG_FOLDER = "logs"
PICTURE_FOLDER = "samples"
DISTANCE_FOLDER = "distances"
PREDICTION_FOLDER = "predictions"
CHAIN_FOLDER = "chain"
REPORT_FILE = "report.html"
FOLDER_OPTION = "--trainer.default_root_dir"
CONFIG_FILE = "config.yaml"
TRACKER_FILE = ".run/trackers"
OF_STEP = re.compile(r"(?:^|_)step=(\d+)(?=[._]|$)")
"""The step of weights, in the name of what was made with them."""
TRACKER_RUNS = ("wandb/*run-*", "tensorboard/*")
"""Folders of trackers' runs, of which a run that begins has its own."""


def check_writable(root: Path, option: str = FOLDER_OPTION) -> None:
    """Whether files can be made in a folder, which is made if it is not there.

    Args:
        root: the folder.
        option: of the command line that names another one, said in errors.

    Raises:
        UserError: they cannot.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=root) as file:
            file.write(b"some bytes")
    except OSError as error:
        raise not_writable(root, error, option) from error


def not_writable(root: Path, error: OSError, option: str = FOLDER_OPTION) -> UserError:
    """What there is to say of a run's folder in which a file cannot be made, moved or written."""
    return UserError(
        f"The run's folder {root} cannot be written: {error.strerror or error}. Name another with {option}."
    )


def contents(root: Path) -> list[Path]:
    """What a run left in `root`, its checkpoints last; nothing where no run has been.

    Only what runs write is named: other files of these folders are none of ours.
    """
    if not (numbered(root) or (root / LAST).exists() or (root / BRANCH_FILE).exists()):
        return []
    several = [path for pattern in (f"{LOG_FOLDER}/*", *TRACKER_RUNS) for path in sorted(root.glob(pattern))]
    shown = (PICTURE_FOLDER, DISTANCE_FOLDER, PREDICTION_FOLDER, CHAIN_FOLDER, REPORT_FILE)
    names = (*shown, CONFIG_FILE, TRACKER_FILE, CHECKPOINT_FOLDER, LAST, BRANCH_FILE)
    return [path for path in (*several, *(root / name for name in names)) if path.exists()]


def take_over(root: Path, earlier: list[Path], ckpt_path: Path | None, step: int) -> None:
    """Make the folder that of a run which starts at `step`, at the last moment before it trains.

    Args:
        root: the run's folder, locked.
        earlier: its `contents` before this run wrote anything.
        ckpt_path: the checkpoint that the run starts from.
        step: of that checkpoint; 0 without one.

    Raises:
        OSError: a file cannot be moved or written.
    """
    for folder, names in ((root, LAST), (root, CONFIG_FILE), (root / CHECKPOINT_FOLDER, "*")):
        for path in unfinished(folder, names):
            path.unlink()
    branch = continued(root, ckpt_path, step)
    if branch is None:
        _set_aside(root, earlier)
        record_branch(root, [])
    else:
        record_branch(root, branch)
        _go_back(root, Path(str(ckpt_path)), step)


def _set_aside(root: Path, earlier: list[Path]) -> None:
    """Move an earlier run to a folder of its own."""
    if earlier:
        target = _new_folder(root)
        for path in earlier:
            _move(path, root, target)
        rank_zero_info(
            f"{root} held an earlier run; it is now in {target}. (--ckpt_path last would have continued it.)"
        )


def _go_back(root: Path, ckpt_path: Path, step: int) -> None:
    """Move what was made after `step`, which is not continued, to a folder of its own, with all figures."""
    last = root / LAST
    is_last = last.exists() and os.path.samefile(last, ckpt_path)
    abandoned = later_checkpoints(root, step)
    if not is_last or abandoned:  # else the same results are made again
        abandoned = [*later_results(root, step), *abandoned]
    if abandoned:
        target = _new_folder(root)
        if last.exists() and not is_last:
            _move(last, root, target)
        for path in abandoned:
            _move(path, root, target)
        copied = [*(root / LOG_FOLDER).glob("*.csv"), root / TRACKER_FILE]
        for path in filter(Path.exists, copied):  # the run's own CSV goes on from before its later lines
            goal = target / path.relative_to(root)
            goal.parent.mkdir(exist_ok=True)
            shutil.copy2(path, goal)
        rank_zero_info(f"The run goes back to step {step}; what was made after it is now in {target}.")
    if not is_last:
        link_atomically(ckpt_path, last)


def later_checkpoints(root: Path, step: int) -> list[Path]:
    """Those after a step, which a run that starts there does not continue."""
    return [path for at, path in numbered(root).items() if at > step]


def later_results(root: Path, step: int) -> list[Path]:
    """Pictures, distances, predictions and chains of weights after a step."""
    folders = (PICTURE_FOLDER, DISTANCE_FOLDER, PREDICTION_FOLDER, CHAIN_FOLDER)
    found = ((OF_STEP.search(path.name), path) for name in folders for path in sorted((root / name).glob("*")))
    return [path for match, path in found if match and int(match[1]) > step]


def _new_folder(root: Path) -> Path:
    number = 1 + max((int(p.name[8:]) for p in root.glob("earlier-*") if p.name[8:].isdecimal()), default=0)
    target = root / f"earlier-{number}"
    target.mkdir()
    return target


def _move(path: Path, root: Path, target: Path) -> None:
    goal = target / path.relative_to(root)
    goal.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(str(path), str(goal))
