"""Trains configs on an accelerator, a piece at a time, and looks at what they draw of classes that they never saw."""

import csv
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from one_step import in_precision, read_data, use_precision

import lightning_nsd
from card.plan import Findings, Plan
from lightning_nsd.callbacks.sample_grid import SampleGrid
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.data.datamodule import SPLITS
from lightning_nsd.pictures import write_picture

CHECKPOINT_EVERY = 1000
TO_STOP = 60
"""Seconds that a run is given to write its checkpoint."""
FEW, MANY = 32, 600
"""Images of a class, before a run has ended and afterwards."""
MIXTURE = 10_000


def run_of(plan: Plan, config: str) -> Path:
    """The folder of a config's run."""
    return plan.out / Path(config).stem


def train(plan: Plan, findings: Findings, part: float) -> None:
    """Go on with every run that has not ended, each for its share of the time, until `part` of the piece is gone."""
    left = [config for config in plan.trained if not findings.found["training"].get(config, {}).get("ended")]
    for position, config in enumerate(left):
        share = plan.deadline.left(part) / (len(left) - position)
        if share > 0:
            findings.add("training", config, go_on(plan, config, share))


def go_on(plan: Plan, config: str, limit: float) -> dict[str, Any]:
    """Train for so many seconds at most; a run that is stopped leaves a checkpoint."""
    run = run_of(plan, config)
    run.mkdir(parents=True, exist_ok=True)
    last = run / "last.ckpt"
    options = [f"--config={config}", f"--trainer.default_root_dir={run}", "--fid.when=never"]
    options += [f"--checkpoint.every_n_train_steps={CHECKPOINT_EVERY}", "--trainer.enable_progress_bar=false"]
    if plan.device.type == "cuda":
        options += ["--config=gpu.yaml", "--trainer.devices=1"]
    else:
        options += ["--trainer.accelerator=cpu"]
    options += [f"--data.root={plan.root}"] if plan.root else []
    options += ["--ckpt_path=last"] if last.exists() else []
    print(f"{config}: training for {limit:.0f} s, in {run}", flush=True)
    with (run / "output.txt").open("a") as output:
        command = [sys.executable, "-m", "lightning_nsd", "fit", *options]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if process.returncode not in (0, 128 + signal.SIGTERM, -signal.SIGTERM):
        said = (run / "output.txt").read_text(errors="replace").splitlines()
        return {"steps": steps_of(last), "ended": False, "error": said[-1] if said else f"exit {process.returncode}"}
    return {"steps": steps_of(last), "ended": process.returncode == 0}


def steps_of(checkpoint: Path) -> int:
    """Optimiser steps of a checkpoint; 0 where there is none."""
    return int(read_checkpoint(checkpoint)["global_step"]) if checkpoint.exists() else 0


def look(plan: Plan, findings: Findings) -> None:
    """Pictures of unseen classes and their distances, of every run that has a checkpoint."""
    for config in plan.trained:
        run, known = run_of(plan, config), findings.found["training"].get(config, {})
        if not (run / "last.ckpt").exists() or (known.get("ended") and known.get("distances") == "done"):
            continue
        try:
            draw(plan, config, run)
        except Exception as error:  # a report without a picture is better than none
            known = {**known, "picture_error": str(error)}
        if (seconds := plan.deadline.left()) > 0:
            known = {**known, **judge(plan, run, bool(known.get("ended")), seconds)}
        else:
            known = {**known, "distances": "there was no time left; --resume goes on"}
        findings.add("training", config, known)


def draw(plan: Plan, config: str, run: Path) -> None:
    """`test.png`: a row for each of some classes of the test split, examples on the left."""
    use_precision("tf32", plan.device)
    model = lightning_nsd.load(run / "last.ckpt").to(plan.device)
    data = read_data(config, plan.root)
    data.prepare_data()
    with in_precision("bf16" if plan.device.type == "cuda" else "float32", plan.device):
        picture = SampleGrid(splits=[SPLITS[2]]).picture(model, data, SPLITS[2])
    write_picture(run / "test.png", picture)


def judge(plan: Plan, run: Path, ended: bool, limit: float) -> dict[str, Any]:
    """Distances per class, and of the mixture where the run has ended, in the time that is left."""
    images = MANY if ended else FEW
    options = [f"--ckpt_path={run / 'last.ckpt'}", f"--extractor={plan.extractor}", f"--out={run}"]
    options += [f"--num_samples={images}"]
    options += [f"--mixture_samples={MIXTURE}"] if ended else ["--sampler=dpm++", "--steps=15"]
    command = [sys.executable, "-m", "lightning_nsd", "evaluate", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"distances": f"not done within {limit:.0f} s; --resume tries again"}
    if done.returncode:
        return {"distances": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    return {"distances": "done", "images_of_a_class": images}


def losses(run: Path, column: str) -> tuple[list[int], list[float]]:
    """Steps and values of a figure of a run."""
    path = run / "logs" / "metrics.csv"
    if not path.exists():
        return [], []
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get(column)]
    return [int(float(row["step"])) for row in rows], [float(row[column]) for row in rows]
