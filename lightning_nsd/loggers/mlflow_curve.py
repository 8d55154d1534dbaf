"""MLflow: a run in a data base beside our run, or at a server."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from lightning_nsd.loggers.metrics_file import Row
from lightning_nsd.loggers.one_curve import OneCurve, needs, numbered
from lightning_nsd.loggers.tables import as_html

SERVER = os.environ.get("MLFLOW_TRACKING_URI")
"""Asked for at once: MLflow sets the variable itself, to wherever it last logged."""
MOST = 1000  # figures that MLflow takes at once
PICTURES = "images"
"""Where MLflow keeps pictures that are logged by step."""
PICTURE = re.compile(r"(.+)[+%]step[+%](\d+)[+%]timestamp[+%].+")
"""What it calls them; `/` is `~`, and was `#`."""


class MLflowCurve(OneCurve, MLFlowLogger):
    """Lightning's MLFlowLogger, with pictures and tables. A run that goes on does so in the same MLflow run.

    Args:
        save_dir: the run's folder, whose `mlflow.db` and `mlflow/` are used unless a place is named.
        experiment_name: what MLflow groups runs by.
        tracking_uri: another place, such as a server; also the environment's MLFLOW_TRACKING_URI.
        artifact_location: another place for pictures and tables.
        kwargs: of Lightning's logger.

    Raises:
        UserError: MLflow is not installed.
    """

    def __init__(
        self,
        save_dir: str = ".",
        experiment_name: str = "lightning-nsd",
        tracking_uri: str | None = None,
        artifact_location: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._folder = Path(save_dir).absolute()
        uri = tracking_uri or SERVER
        if not uri:
            uri = f"sqlite:///{self._folder / 'mlflow.db'}"
            artifact_location = artifact_location or (self._folder / "mlflow").as_uri()
        with needs("MLflow", "mlflow"):
            super().__init__(experiment_name, tracking_uri=uri, artifact_location=artifact_location, **kwargs)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """MLflow's client, with a run begun."""
        if not self._initialized:
            self._folder.mkdir(parents=True, exist_ok=True)
        return super().experiment

    @property
    def known_as(self) -> str | None:
        return self.run_id

    @property
    def save_dir(self) -> str:
        return str(self._folder)

    def take_up(self, run_id: str) -> None:
        from mlflow.exceptions import MlflowException

        if self._run_id is None:
            try:
                self._mlflow_client.update_run(run_id, status="RUNNING")
                self._run_id = run_id
            except MlflowException:  # another place, or an earlier run's folder: begun anew
                pass

    def recorded(self, earlier: list[Row]) -> Mapping[str, int]:
        client, run_id = self.experiment, self.run_id
        found = {
            key: max(metric.step for metric in client.get_metric_history(run_id, key))
            for key in client.get_run(run_id).data.metrics
        }
        for file in client.list_artifacts(run_id, PICTURES):
            if match := PICTURE.fullmatch(Path(file.path).name):
                key = re.sub("[~#]", "/", match[1])
                found[key] = max(int(match[2]), found.get(key, -1))
        return found

    def write(self, figures: Mapping[str, Any], step: int | None) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(self.name_of(key), float(value), now, step or 0) for key, value in figures.items()]
        for start in range(0, len(metrics), MOST):
            self.experiment.log_batch(self.run_id, metrics=metrics[start : start + MOST])

    def name_of(self, key: str) -> str:
        """MLflow takes no other characters; what Lightning would do, leaving them out, gives many figures one name."""
        return re.sub(r"[^a-zA-Z0-9_/. -]", _code, key)

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """The configuration as a file: MLflow cuts off a setting after some hundred characters."""
        for name, text in dict(params).items():
            self.experiment.log_text(self.run_id, str(text), f"{name}.yaml")

    @rank_zero_only
    def log_image(self, key: str, images: list[Image.Image], step: int | None = None) -> None:
        """Show pictures; of several, the second is `<key>/1`."""
        if self.is_new(key, step):
            for name, image in numbered(key, images):
                self.experiment.log_image(self.run_id, image.convert("RGB"), key=self.name_of(name), step=step)

    @rank_zero_only
    def log_table(self, key: str, columns: list[str], data: list[list[Any]], step: int | None = None) -> None:
        """Keep a table as a page of HTML, which MLflow shows; that of the same step is replaced."""
        self.experiment.log_text(self.run_id, as_html(columns, data), f"{self.name_of(key)}_step={step or 0:08d}.html")


def _code(match: re.Match[str]) -> str:
    """A character as its number."""
    return f"_{ord(match[0]):x}_"
