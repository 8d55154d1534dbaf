"""TensorBoard: event files in a folder of the run's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from lightning_nsd.loggers.metrics_file import Row
from lightning_nsd.loggers.one_curve import OneCurve, needs, numbered
from lightning_nsd.loggers.tables import as_markdown, stacked, without_pictures


class TensorBoardCurve(OneCurve, TensorBoardLogger):
    """Lightning's TensorBoardLogger, with pictures and tables. A run that goes on does so in the same folder.

    Args:
        save_dir: the run's folder.
        name: of the folder in it.
        version: of the folder in that one; the next `version_N` where a run begins.
        default_hp_metric: a figure beside TensorBoard's table of settings.
        kwargs: of Lightning's logger.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(
        self,
        save_dir: str = ".",
        name: str = "tensorboard",
        version: int | str | None = None,
        default_hp_metric: bool = False,
        **kwargs: Any,
    ) -> None:
        with needs("TensorBoard", "tensorboard"):
            super().__init__(save_dir, name, version, default_hp_metric=default_hp_metric, **kwargs)

    @property
    def known_as(self) -> str | None:
        return Path(self.log_dir).name

    def take_up(self, run_id: str) -> None:
        if self._version is None:
            self._version = run_id

    def recorded(self, earlier: list[Row]) -> Mapping[str, int]:
        return last_steps_of(Path(self.log_dir))

    def write(self, figures: Mapping[str, Any], step: int | None) -> None:
        TensorBoardLogger.log_metrics(self, figures, step)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *arguments: Any, **named: Any) -> None:
        """The configuration, as text: TensorBoard's own table of settings has one cell for it."""
        for name, text in dict(params).items():
            self.experiment.add_text(name, "\n".join(f"    {line}" for line in str(text).splitlines()))

    @rank_zero_only
    def log_image(self, key: str, images: list[Image.Image], step: int | None = None) -> None:
        """Show pictures; of several, the second is `<key>/1`."""
        if self.is_new(key, step):
            for name, image in numbered(key, images):
                self._add_image(name, image, step)

    @rank_zero_only
    def log_table(self, key: str, columns: list[str], data: list[list[Any]], step: int | None = None) -> None:
        """Show a table as text, and its pictures, which text cannot hold, as one."""
        if self.is_new(f"{key}/text_summary", step):
            self.experiment.add_text(key, as_markdown(*without_pictures(columns, data)), step)
            if picture := stacked(data):
                self._add_image(f"{key}/pictures", picture, step)

    def _add_image(self, key: str, image: Image.Image, step: int | None) -> None:
        import numpy as np

        self.experiment.add_image(key, np.asarray(image.convert("RGB")), step, dataformats="HWC")


def last_steps_of(folder: Path) -> dict[str, int]:
    """The last step of every name in the event files of a folder, whose ends may be broken off."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, int] = {}
    for file in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(file)).Load():
            found |= {value.tag: event.step for value in event.summary.value}
    return found
