"""Which checkpoints of a run's folder continue one another.

A run may go back to an older checkpoint, so that names and dates do not say which of the others it comes from. The
folder keeps a record: the names of the branch that is trained, oldest first. It is written before a checkpoint is, so
that after a kill at any moment what it names is of this branch, or not there. In a folder without one, which an older
version wrote, all checkpoints are one branch.
"""

import re
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.errors import UserError
from lightning_nsd.files.whole_file import write_text

LAST = "last.ckpt"
"""The newest checkpoint's second name."""
CHECKPOINT_FOLDER = "checkpoints"
BRANCH_FILE = ".run/branch"


def checkpoint_path(root: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return root / CHECKPOINT_FOLDER / f"step={step:08d}.ckpt"


def numbered(root: Path) -> dict[int, Path]:
    """All checkpoints that are named by their step, in the order of steps."""
    found = ((re.fullmatch(r"step=(\d+)\.ckpt", path.name), path) for path in (root / CHECKPOINT_FOLDER).glob("*"))
    return dict(sorted((int(match[1]), path) for match, path in found if match))


def read_branch(root: Path) -> dict[int, Path]:
    """The numbered checkpoints of the branch that are there, by step, oldest first."""
    try:
        names = (root / BRANCH_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return numbered(root)
    return {step: path for step, path in numbered(root).items() if path.name in names}


def record_branch(root: Path, paths: list[Path]) -> None:
    """Write the record, in one step.

    Raises:
        OSError: it cannot be written; the earlier one is as it was.
    """
    write_text(root / BRANCH_FILE, "".join(f"{path.name}\n" for path in paths))


def continued(root: Path, ckpt_path: Path | str | None, step: int) -> list[Path] | None:
    """What a run comes from that starts at `step` from `ckpt_path`; None where that is not of this folder's run."""
    if ckpt_path is None:
        return None
    folder = Path(ckpt_path).parent.resolve()
    of_the_run = folder == (root / CHECKPOINT_FOLDER).resolve() or (
        folder == root.resolve() and Path(ckpt_path).name == LAST
    )
    return [path for at, path in read_branch(root).items() if at <= step] if of_the_run else None


def newest_readable(root: Path) -> Path:
    """The newest checkpoint of the branch that can be read; others are passed over with a warning.

    `last.ckpt` is it, unless a kill or a full disk came between a checkpoint and its second name.

    Raises:
        UserError: there is none.
    """
    newest, newest_step = None, -1
    for step, path in ((-1, root / LAST), *reversed(read_branch(root).items())):
        if path.is_file() and (newest is None or step > newest_step):
            try:
                newest_step = read_checkpoint(path)["global_step"]
                newest = path
            except UserError as error:
                rank_zero_warn(f"Passed over a checkpoint that cannot be read. {error}")
    if newest is None:
        raise UserError(
            f"--ckpt_path last: no readable checkpoint in {root} ({LAST}, {CHECKPOINT_FOLDER}/step=….ckpt). "
            "Name the run's folder with --trainer.default_root_dir, or start without --ckpt_path."
        )
    return newest
