"""Latents and features of the data, made once, for a model that draws latents or sees features."""

from functools import partial
from typing import Any

from lightning.pytorch import Callback, Trainer

from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.data.encoding_cache import encodings_of
from lightning_nsd.module import FewShotDiffusion


class DataEncodings(Callback):
    """Lets the data hand out what frozen networks make of its images. Without, the model encodes every batch anew."""

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        if (data := _data_of(trainer, pl_module)) is not None:
            for encoder in pl_module.space.frozen:
                data.use_encodings(encoder.kind, partial(encodings_of, encoder, lambda: pl_module.device))

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Before the first step: one process makes them, and the others find them on the disk."""
        if (data := _data_of(trainer, pl_module)) is None:
            return
        if not trainer.is_global_zero:
            trainer.strategy.barrier()
        for split in ("train", "val"):
            data.encodings(split)
        if trainer.is_global_zero:
            trainer.strategy.barrier()


def _data_of(trainer: Trainer, module: Any) -> EpisodeDataModule | None:
    """The data of a model with frozen networks beside it."""
    data = getattr(trainer, "datamodule", None)
    has_frozen = isinstance(module, FewShotDiffusion) and bool(module.space.frozen)
    return data if has_frozen and isinstance(data, EpisodeDataModule) else None
