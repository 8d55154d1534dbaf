"""bfloat16 on XLA without the environment switch that torch_xla is giving up."""

from contextlib import AbstractContextManager

import torch
from lightning.pytorch.plugins.precision import XLAPrecision

from lightning_nsd.accelerators.precision import Precision


class MixedXLAPrecision(XLAPrecision):
    """Weights in float32, matrix products in bfloat16 by autocast."""

    def __init__(self) -> None:
        super().__init__("32-true")

    def forward_context(self) -> AbstractContextManager[None]:
        return torch.autocast("xla", dtype=torch.bfloat16)


def make_precision(precision: Precision) -> XLAPrecision:
    """The plugin of a precision by name."""
    return MixedXLAPrecision() if precision == "bf16-mixed" else XLAPrecision("32-true")
