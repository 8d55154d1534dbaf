"""Where everything of a run is, said at its end."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from rich.measure import Measurement
from rich.table import Table

from lightning_nsd import terminal
from lightning_nsd.callbacks.run_checkpoint import RunCheckpoint
from lightning_nsd.loggers.metrics_file import MetricsFile
from lightning_nsd.runs.folder import PICTURE_FOLDER, REPORT_FILE


class RunSummary(Callback):
    """Prints a table of the checkpoint, the pictures, the figures and the report that there are at the end of `fit`."""

    @rank_zero_only
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        root = Path(trainer.default_root_dir)
        is_saved, checkpoint = checkpoint_of(trainer)
        rows = [("checkpoint", checkpoint)]
        pictures = sorted((root / PICTURE_FOLDER).glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
        for split, path in {path.name.split("_step=")[0]: path for path in pictures}.items():
            rows.append((f"picture ({split})", str(path)))
        for logger in trainer.loggers:
            where = logger.path if isinstance(logger, MetricsFile) else logger.save_dir
            if where and Path(where).exists() and ("figures", str(where)) not in rows:
                rows.append(("figures", str(where)))
        if (root / REPORT_FILE).exists():
            rows.append(("report", str(root / REPORT_FILE)))
        for name, value in sorted(trainer.callback_metrics.items()):
            if name.startswith("val/"):
                rows.append((name, f"{float(value):.5f}"))
        end = "finished" if is_saved else "ended, and its end is not saved,"
        table = Table(title=f"Run {end} after {trainer.global_step} steps", title_justify="left", show_header=False)
        for name, text in rows:
            table.add_row(name, text)
        console = terminal.console()  # as wide as the longest path, which would be cut off otherwise
        console.width = max(console.width, Measurement.get(console, console.options.update_width(1000), table).maximum)
        console.print(table)


def checkpoint_of(trainer: Trainer) -> tuple[bool, str]:
    """Whether the end of the run is saved, as far as that was asked for; the newest checkpoint that there is."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, RunCheckpoint):
            is_there = callback.saved is not None and callback.saved.exists()
            return callback.failure is None, str(callback.saved) if is_there else "none"
    return True, "none: checkpoints are turned off"
