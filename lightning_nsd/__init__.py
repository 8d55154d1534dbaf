"""Few-shot diffusion, trained with PyTorch Lightning, held against a JAX reference."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_nsd.module import FewShotDiffusion

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(path: "str | Path") -> "FewShotDiffusion":
    """The model of a checkpoint, its EMA weights in place, in evaluation mode, on the CPU.

    Args:
        path: of a checkpoint that `fit` wrote.

    Raises:
        UserError: the file is missing, damaged, or not of a few-shot diffusion model.
    """
    from lightning_nsd.loading import load_checkpoint

    return load_checkpoint(path)
