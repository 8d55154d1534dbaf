"""A finished report to everywhere where people look: files, loggers, the terminal."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.evaluation.chart import make_chart
from lightning_nsd.evaluation.files import CHART_FILE, SCATTER_FILE, folder_of, write_tables
from lightning_nsd.evaluation.report import Report
from lightning_nsd.evaluation.scatter import make_scatter
from lightning_nsd.evaluation.strips import write_strips
from lightning_nsd.evaluation.terminal import print_report
from lightning_nsd.pictures import grid, write_picture
from lightning_nsd.shown import Shown


@rank_zero_only
def publish(report: Report, root: Path, loggers: Iterable[Logger] = ()) -> None:
    """Log every figure, the table and the pictures, write tables and pictures, and print the short table.

    A picture that cannot be made, or a logger that takes no table, is a warning.

    Args:
        root: the run's folder.
        loggers: all get the figures; those that take tables and images get these too.

    Raises:
        OSError: the tables cannot be written; everything else was shown before.
    """
    loggers, folder = list(loggers), folder_of(root, report)
    for logger in loggers:
        logger.log_metrics(report.figures(), step=report.step)
        logger.save()
    with Shown(f"The chart of {report.distance}"):
        for name, make, file in (("chart", make_chart, CHART_FILE), ("scatter", make_scatter, SCATTER_FILE)):
            if (picture := make(report)) is None:
                continue
            for logger in loggers:
                if hasattr(logger, "log_image"):
                    logger.log_image(f"{report.split}/{report.distance}/{name}", [picture], step=report.step)
            write_picture(folder / file, picture)
    with Shown(f"The table of {report.distance}"):
        for logger in loggers:
            if hasattr(logger, "log_table"):
                names, rows = table_with_pictures(report)
                if isinstance(logger, WandbLogger):
                    rows = [[*cells, as_wandb(picture)] for *cells, picture in rows]
                logger.log_table(f"{report.split}/{report.distance}/table", columns=names, data=rows, step=report.step)
    with Shown(f"The images of classes of {report.distance}"):
        write_strips(folder, report)
    try:
        write_tables(folder, report)
    except OSError:
        print_report(report, None)
        raise
    print_report(report, folder)


def table_with_pictures(report: Report) -> tuple[list[str], list[list[Any]]]:
    """Headings and rows of the table for loggers: those of the files, and a strip of generated images or None."""
    headings, rows = report.table()
    strips = [row.strip for row in [*report.rows, *report.mixture]]
    pictures = [None if strip is None else grid([to_unit_range(strip)]) for strip in strips]
    return [*headings, "generated"], [[*cells, picture] for cells, picture in zip(rows, pictures, strict=True)]


def as_wandb(picture: Image.Image | None) -> Any:
    """A picture as a cell of W&B's table."""
    import wandb

    return None if picture is None else wandb.Image(picture)
