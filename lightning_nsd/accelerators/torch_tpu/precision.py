"""In how many bits a TPU multiplies.

A TPU rounds the factors of a float32 product to bfloat16 unless it is told otherwise. Torch starts with `highest`, but
TorchTPU puts its own `torch.set_float32_matmul_precision` in place of torch's and starts with `medium`, which is that
rounding; its `highest` is six passes, which keep all 24 bits (https://google-pytorch.github.io/torch_tpu/, Precision
Management).
"""

from typing import Literal

import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.plugins.precision import Precision as PrecisionPlugin

from lightning_nsd.accelerators.precision import Precision
from lightning_nsd.accelerators.torch_tpu.device import DEVICE_TYPE


def make_precision(precision: Precision) -> PrecisionPlugin:
    """The plugin of a precision by name."""
    return MixedPrecision("bf16-mixed", DEVICE_TYPE) if precision == "bf16-mixed" else PrecisionPlugin()


def set_float32_products(precision: Precision, parity: bool) -> None:
    """Choose the bits of float32 products in this process: all where they were asked for, else the TPU's own few.

    Under `bf16-mixed` autocast leaves few products in float32; with `parity` these are exact too.
    """
    bits: Literal["highest", "medium"] = "highest" if precision == "32-true" or parity else "medium"
    torch.set_float32_matmul_precision(bits)
