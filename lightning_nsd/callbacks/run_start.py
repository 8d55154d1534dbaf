"""The moment at which a run's folder becomes that of the run which starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_nsd.files.whole_file import write_text
from lightning_nsd.runs.folder import CONFIG_FILE, contents, not_writable, take_over
from lightning_nsd.runs.history import START, note
from lightning_nsd.runs.machine import machine, versions
from lightning_nsd.shown import Shown


class RunStart(Callback):
    """Makes room in the folder, writes `config.yaml` and notes the start, after everything else has been checked.

    A start that is refused, whoever refuses it, leaves an earlier run as it was.

    Args:
        root: the run's folder, locked.
        config: the whole configuration as YAML.
        asked: what the history says of the command, as plain values.
    """

    def __init__(self, root: Path, config: str, asked: Mapping[str, Any]) -> None:
        self.root = root
        self.config = config
        self.asked = asked
        self._earlier = contents(root)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            try:
                take_over(
                    self.root,
                    self._earlier,
                    Path(str(trainer.ckpt_path)) if trainer.ckpt_path else None,
                    trainer.global_step,
                )
                write_text(self.root / CONFIG_FILE, self.config)
            except OSError as error:
                raise not_writable(self.root, error) from error
            with Shown("The run's history"):
                device = {**machine(trainer.strategy.root_device), "processes": str(trainer.world_size)}
                note(self.root, START, trainer.global_step, **self.asked, versions=versions(), machine=device)
