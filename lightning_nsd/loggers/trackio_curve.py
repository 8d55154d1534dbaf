"""Trackio: runs in its own SQLite data base on this machine, which `trackio show` looks into."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from lightning_nsd.loggers.metrics_file import Row
from lightning_nsd.loggers.one_curve import OneCurve, last_steps, needs, numbered


class TrackioCurve(OneCurve):
    """A run of Trackio's, which a run that goes on resumes by its name.

    Args:
        project: what Trackio groups runs by.
        name: of the run; Trackio finds one where a run begins.
        group: of runs, within the project.

    Raises:
        UserError: Trackio is not installed.
    """

    def __init__(self, project: str = "lightning-nsd", name: str | None = None, group: str | None = None) -> None:
        super().__init__()
        with needs("Trackio", "trackio"):
            import trackio
        self._trackio = trackio
        self._project, self._name, self._group = project, name, group
        self._settings: dict[str, Any] = {}
        self._run: Any = None

    @property
    def name(self) -> str:
        return self._project

    @property
    def version(self) -> str | None:
        return self._name

    @property
    def save_dir(self) -> str:
        """Where Trackio keeps everything, as TRACKIO_DIR says."""
        return str(self._trackio.utils.TRACKIO_DIR)

    @property
    def known_as(self) -> str | None:
        return self._name

    def open(self) -> Any:
        """Trackio's run, which is begun at the first call."""
        if self._run is None:
            self._run = self._trackio.init(
                self._project, name=self._name, group=self._group, config=self._settings, resume="allow", embed=False
            )
            self._name = self._run.name
        return self._run

    def take_up(self, run_id: str) -> None:
        self._name = self._name or run_id

    def recorded(self, earlier: list[Row]) -> Mapping[str, int]:
        run = self.open()
        logs = self._trackio.SQLiteStorage.get_logs(run.project, run.name, run_id=run.id)
        return last_steps((log["step"], log) for log in logs)

    def write(self, figures: Mapping[str, Any], step: int | None) -> None:
        self.open().log(dict(figures), step=step)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """The configuration, as the run's when it is begun, which is now."""
        self._settings = dict(params)
        self.open()

    @rank_zero_only
    def log_image(self, key: str, images: list[Image.Image], step: int | None = None) -> None:
        """Show pictures; of several, the second is `<key>/1`."""
        self.log_metrics({name: self._cell(image) for name, image in numbered(key, images)}, step)

    @rank_zero_only
    def log_table(self, key: str, columns: list[str], data: list[list[Any]], step: int | None = None) -> None:
        """Show a table, its pictures in it."""
        cells = [[self._cell(cell) for cell in row] for row in data]
        self.log_metrics({key: self._trackio.Table(columns=columns, data=cells)}, step)

    def _cell(self, value: Any) -> Any:
        return self._trackio.Image(value) if isinstance(value, Image.Image) else value

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Wait until all is written."""
        if self._run is not None:
            self._run.finish()
            self._run = None
