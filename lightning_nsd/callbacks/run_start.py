"""The moment at which a run's folder becomes that of the run which starts."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_nsd.files.whole_file import write_text
from lightning_nsd.runs.folder import CONFIG_FILE, contents, not_writable, take_over


class RunStart(Callback):
    """Makes room in the folder and writes `config.yaml`, after everything else has been checked.

    A start that is refused, whoever refuses it, leaves an earlier run as it was.

    Args:
        root: the run's folder, locked.
        config: the whole configuration as YAML.
    """

    def __init__(self, root: Path, config: str) -> None:
        self.root = root
        self.config = config
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
