"""The trainings: `fit` in Lightning, in the reference from the same weights, and in Lightning a rounding away."""

import csv
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from jax_reference.config import Config
from jax_reference.experiment import Experiment
from jax_reference.train import METRICS, fit
from lightning_nsd.cli import UNFOUNDED_WARNINGS
from lightning_nsd.commands.training import FewShotCLI
from lightning_nsd.module import FewShotDiffusion
from parity_tests.pairing.arrays import to_numpy
from parity_tests.weights import key_map, to_torch_state, to_tree

LOSS = "train/loss"
CLI = TypeVar("CLI", bound=FewShotCLI)


@dataclass(frozen=True)
class Trained:
    """What is left of a training.

    Attributes:
        losses: of every step, from 0.
        params: the network's parameters at the end, by torch's keys and in torch's layout.
        ema: their moving average, likewise.
        seconds: from reading the config, or building the model, to the last checkpoint; compiling included.
    """

    losses: dict[int, float]
    params: dict[str, np.ndarray]
    ema: dict[str, np.ndarray]
    seconds: float


class RecordedCLI(FewShotCLI):
    """What `python -m lightning_nsd fit` runs, with a copy of the parameters that it starts from."""

    initial: dict[str, Tensor]

    def before_fit(self) -> None:
        super().before_fit()
        self.initial = {key: value.detach().clone() for key, value in self.model.model.named_parameters()}


class Nudge(Callback):
    """Moves every weight by one rounding before the first step, once the trainer has given them their precision."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        with torch.no_grad():
            for weight in pl_module.parameters():
                weight.mul_(1 + torch.finfo(weight.dtype).eps)


class NudgedCLI(FewShotCLI):
    """The same training from weights that differ by one rounding each."""

    def before_fit(self) -> None:
        super().before_fit()
        self.trainer.callbacks.append(Nudge())  # type: ignore[attr-defined]


def read_losses(path: Path, name: str = LOSS) -> dict[int, float]:
    """The loss of every step that a metrics.csv has one of."""
    with path.open(newline="", encoding="utf-8") as file:
        return {int(row["step"]): float(row[name]) for row in csv.DictReader(file) if row.get(name)}


def arrays(network: nn.Module) -> dict[str, np.ndarray]:
    """A network's parameters in NumPy."""
    return {key: to_numpy(value) for key, value in network.named_parameters()}


def fit_torch(kind: type[CLI], config: Config, *more: str) -> tuple[CLI, dict[int, float]]:
    """Run `fit`: the command line's objects, and the loss of every step."""
    with warnings.catch_warnings():
        for message in (*UNFOUNDED_WARNINGS, "LightningCLI's args parameter is intended"):
            warnings.filterwarnings("ignore", message=message)
        cli = kind(["fit", "--config", config.path, *more])
    return cli, read_losses(Path(cli.trainer.loggers[0].log_dir or "") / "metrics.csv")


def train_torch(config: Config) -> tuple[Trained, FewShotDiffusion, dict[str, Tensor]]:
    """Lightning's side: what is left, the module, and the parameters that it started from."""
    start = time.perf_counter()
    cli, losses = fit_torch(RecordedCLI, config)
    seconds = time.perf_counter() - start
    module: FewShotDiffusion = cli.model
    trained = Trained(losses, arrays(module.model), arrays(module.evaluation_model), seconds)
    return trained, module, cli.initial


def train_nudged(config: Config, root: Path) -> dict[int, float]:
    """The losses of Lightning's side, started one rounding away; its files go to `root`."""
    return fit_torch(NudgedCLI, config, "--trainer.default_root_dir", str(root))[1]


def train_jax(
    config: Config,
    experiment: Experiment,
    root: Path,
    steps: int,
    ours: FewShotDiffusion,
    initial: dict[str, Tensor],
) -> tuple[Trained, Any]:
    """The reference's side: what is left, and the moving average in its own layout.

    Args:
        experiment: what the config describes.
        root: folder of the run.
        ours: the torch side, whose parameters have names and layouts.
        initial: the torch side's parameters before training.
    """
    table = key_map(ours.model, experiment.model)
    trained = next(ours.parameters())  # parameters are drawn in float32; the trainer gives them its precision
    params = to_tree(table.to_jax({key: to_numpy(value.to(trained.dtype)) for key, value in initial.items()}))
    start = time.perf_counter()
    state = fit(config, root, steps, params=params)
    seconds = time.perf_counter() - start
    final, ema = (to_torch_state(table, tree) for tree in (state.params, state.ema_params))
    return Trained(read_losses(root / METRICS), final, ema, seconds), state.ema_params
