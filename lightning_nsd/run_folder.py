"""The folder of a run: what lies in it, and how an earlier run makes room."""

import shutil
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

from lightning_nsd.callbacks.sample_grid import PICTURE_FOLDER
from lightning_nsd.checkpoint_io import CHECKPOINT_FOLDER, LAST
from lightning_nsd.evaluation.files import FOLDER as DISTANCE_FOLDER

LOG_FOLDER = "logs"
CONFIG_FILE = "config.yaml"


@rank_zero_only
def set_aside(root: Path) -> None:
    """Move an earlier run's checkpoints, figures and pictures to `root/earlier-1`, `earlier-2`, …"""
    if not (root / LAST).exists():
        return
    number = 1 + max((int(p.name.split("-")[1]) for p in root.glob("earlier-*") if p.name[8:].isdigit()), default=0)
    target = root / f"earlier-{number}"
    target.mkdir()
    for name in (LAST, CHECKPOINT_FOLDER, PICTURE_FOLDER, DISTANCE_FOLDER, LOG_FOLDER, CONFIG_FILE):
        if (root / name).exists():
            shutil.move(str(root / name), str(target / name))
    rank_zero_info(f"{root} held an earlier run; it is now in {target}. (--ckpt_path last would have continued it.)")
