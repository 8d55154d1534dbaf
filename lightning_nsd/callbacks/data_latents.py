"""Latents of the data, made once, for a model that draws latents."""

from functools import partial
from typing import Any

from lightning.pytorch import Callback, Trainer

from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.latents.latent_cache import latents_of
from lightning_nsd.module import FewShotDiffusion


class DataLatents(Callback):
    """Lets the data hand out the latents of its images. Without, the model encodes every batch anew."""

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        if (data := _data_of(trainer, pl_module)) is not None:
            data.use_latents(partial(latents_of, pl_module.space.autoencoder, lambda: pl_module.device))

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Before the first step: one process makes them, and the others find them on the disk."""
        if (data := _data_of(trainer, pl_module)) is None:
            return
        if not trainer.is_global_zero:
            trainer.strategy.barrier()
        for split in ("train", "val"):
            data.latents(split)
        if trainer.is_global_zero:
            trainer.strategy.barrier()


def _data_of(trainer: Trainer, module: Any) -> EpisodeDataModule | None:
    """The data of a model that draws latents."""
    data = getattr(trainer, "datamodule", None)
    draws_latents = isinstance(module, FewShotDiffusion) and module.space.autoencoder is not None
    return data if draws_latents and isinstance(data, EpisodeDataModule) else None
