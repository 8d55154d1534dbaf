"""Where everything of a run is, said at its end."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from lightning_nsd.callbacks.sample_grid import PICTURE_FOLDER
from lightning_nsd.checkpoint_io import LAST


class RunSummary(Callback):
    """Prints a table of the checkpoint, the pictures and the figures at the end of `fit`."""

    @rank_zero_only
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        root = Path(trainer.default_root_dir)
        table = Table(title=f"Run finished after {trainer.global_step} steps", title_justify="left", show_header=False)
        table.add_row("checkpoint", str(root / LAST))
        newest = sorted((root / PICTURE_FOLDER).glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
        by_split = {path.name.split("_step=")[0]: path for path in newest}
        for split, path in by_split.items():
            table.add_row(f"picture ({split})", str(path))
        for logger in trainer.loggers:
            if logger.save_dir and logger.name is not None:
                where = Path(logger.save_dir, str(logger.name), f"version_{logger.version}", "metrics.csv")
                table.add_row("figures", str(where if where.exists() else logger.save_dir))
        for name, value in sorted(trainer.callback_metrics.items()):
            if name.startswith("val/"):
                table.add_row(name, f"{float(value):.5f}")
        console = Console()  # as wide as the longest path, which would be cut off otherwise
        console.width = max(console.width, Measurement.get(console, console.options.update_width(1000), table).maximum)
        console.print(table)
