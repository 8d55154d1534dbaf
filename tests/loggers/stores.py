"""What trackers have of a run, read from their own stores: steps of every figure or picture, in their order there."""

import json
import time
from collections import defaultdict
from pathlib import Path

import wandb

from lightning_nsd.loggers.wandb_record import files_of, read_record, records

Steps = dict[str, list[int]]


def names(root: Path) -> dict[str, str]:
    """What the run's folder says that trackers know it by."""
    return json.loads((root / ".run" / "trackers").read_text(encoding="utf-8"))


def finish_wandb(root: Path) -> None:
    """End W&B's run; its own process writes the end of its file, and names the next run's folder by the second."""
    wandb.finish()
    newest = max(root.glob("wandb/offline-run-*/*.wandb"), key=lambda file: file.stat().st_mtime_ns)
    deadline = time.monotonic() + 60
    while not any(record.HasField("exit") for record, _ in records(newest.read_bytes())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.01)


def of_wandb(root: Path, run_id: str) -> Steps:
    record = read_record(files_of(root / "wandb", run_id))
    return gathered((row["trainer/global_step"], row) for row in record.rows if "trainer/global_step" in row)


def of_tensorboard(root: Path, version: str) -> Steps:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    files = sorted((root / "tensorboard" / version).glob("events.*"))
    events = [event for file in files for event in EventFileLoader(str(file)).Load()]
    return gathered((event.step, [value.tag for value in event.summary.value]) for event in events)


def of_mlflow(root: Path, run_id: str) -> Steps:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
    found = {
        key: [metric.step for metric in client.get_metric_history(run_id, key)]
        for key in client.get_run(run_id).data.metrics
    }
    pictures = [Path(file.path).stem for file in client.list_artifacts(run_id, "images")]
    parts = [name.replace("%", "+").split("+") for name in pictures if not name.endswith("compressed")]
    return found | gathered(sorted((int(part[2]), [part[0].replace("~", "/")]) for part in parts))


def of_trackio(_: Path, name: str) -> Steps:
    from trackio import SQLiteStorage

    return gathered((log["step"], log) for log in SQLiteStorage.get_logs("lightning-nsd", name))


STORES = {
    "WandbCurve": of_wandb, "TensorBoardCurve": of_tensorboard, "MLflowCurve": of_mlflow, "TrackioCurve": of_trackio,
}  # fmt: skip


def gathered(records) -> Steps:
    found: Steps = defaultdict(list)
    for step, keys in records:
        for key in keys:
            found[key].append(step)
    return found
