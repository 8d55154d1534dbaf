"""Few-shot diffusion, trained with PyTorch Lightning, held against a JAX reference."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_nsd.module import FewShotDiffusion

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(
    path: "str | Path | None" = None,
    allow: "Sequence[str]" = (),
    autoencoder: "str | Path | None" = None,
    backbone: "str | Path | None" = None,
) -> "FewShotDiffusion":
    """A trained model, its EMA weights in place, in evaluation mode, in float32 on the CPU.

    Args:
        path: of a checkpoint that `fit` wrote, or of a folder that `convert --format hub` wrote; or such a folder on a
            hub, `hf://owner/name` or `hf://owner/name@revision`, which is fetched with huggingface_hub and kept in its
            cache. The shipped model, which draws characters at 16 × 16 pixels, where None.
        allow: class paths that the checkpoint may name beside this package's own, such as `["pkg.MyEncoder"]`. They
            are imported; nothing else that a checkpoint names is.
        autoencoder: where that of a model of latents is, if not where it was in training. It has to be the same one.
        backbone: the same for the weights of a pretrained image encoder.

    Raises:
        UserError: the file is missing, damaged, cannot be fetched, is not of a few-shot diffusion model, or names a
            class that is neither this package's nor allowed.
    """
    from lightning_nsd.checkpoints.loading import load_checkpoint

    return load_checkpoint(path, allow, autoencoder, backbone)
