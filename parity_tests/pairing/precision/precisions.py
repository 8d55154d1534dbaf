"""The low precisions, and how large half a unit in the last place is in each."""

from typing import NamedTuple

from parity_tests.tolerances import LowPrecision

_FLOAT32, _TF32, _BFLOAT16 = 2.0**-24, 2.0**-11, 2.0**-8


class Precision(NamedTuple):
    """How a network computes.

    Attributes:
        name: for reports.
        dtype: of parameters and inputs.
        rounding: half a unit in the last place of a parameter, an input or a result of 1.
        operands: likewise of what matrix products and convolutions are given, where it is coarser.
        products: likewise of what these give, and of what a sum is given.
        bits: of the fraction of what they are given, where it is rounded for them.
        autocast: torch runs under `torch.autocast`, which rounds what products are given and give.
    """

    name: LowPrecision
    dtype: str
    rounding: float
    operands: float = 0.0
    products: float = 0.0
    bits: int | None = None
    autocast: bool = False


PRECISIONS: dict[LowPrecision, Precision] = {
    precision.name: precision
    for precision in (
        Precision("bfloat16", "bfloat16", _BFLOAT16),
        Precision("bf16-mixed", "float32", _FLOAT32, _BFLOAT16, _BFLOAT16, 7, autocast=True),
        Precision("tf32", "float32", _FLOAT32, _TF32, bits=10),
        Precision("tpu", "float32", _FLOAT32, _BFLOAT16, bits=7),
    )
}
"""`bfloat16`: everything. `bf16-mixed`: torch as under `torch.autocast`, whose results stay in bfloat16 until they meet
float32, and JAX with bfloat16 going into products. `tf32` (an NVIDIA card's products in float32) and `tpu` (a TPU's, at
JAX's default precision): what goes into products, which add up in float32."""
