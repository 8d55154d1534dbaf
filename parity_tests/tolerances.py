"""Every tolerance of the ladder, and why it is what it is. Nothing is loosened anywhere else."""

from typing import Literal

Dtype = Literal["float64", "float32"]
DTYPES: tuple[Dtype, ...] = ("float64", "float32")

REPORTED = float("inf")  # shown in the table, never a failure

TOLERANCES: dict[str, dict[Dtype, float]] = {
    # float64 on both sides whatever the model's dtype; T products and one cosine per entry, each good to 1e-16
    "schedule": {"float64": 1e-14, "float32": 1e-14},
    # one operation: a sum over at most some hundred products
    "op": {"float64": 1e-13, "float32": 2e-6},
    # one module fed the other side's inputs: a few operations one behind the other
    "module": {"float64": 1e-12, "float32": 1e-5},
    # its vector-Jacobian product: sums over all positions, which cancel; the temperature of an attention over 1,280
    # tokens is good to 1.4e-5 in single precision
    "module gradient": {"float64": 1e-12, "float32": 1e-4},
    # a whole network: errors add up over depth
    "model": {"float64": 1e-11, "float32": 5e-5},
    # forward and back through the network; sums over all images and pixels
    "loss": {"float64": 1e-10, "float32": 1e-4},
    # Adam divides by the root of the second moment, so a gradient near zero turns rounding into a step of full size
    "step": {"float64": 1e-8, "float32": REPORTED},
    # the network is applied to its own output at every step
    "sampler": {"float64": 1e-9, "float32": 1e-3},
    # 47 convolutions one behind the other, of sums over up to 4,032 products; a distance is a difference of large sums
    "metric": {"float64": 1e-8, "float32": 1e-4},
    # hundreds of steps: each starts from weights that the rounding of all before it has moved
    "run": {"float64": 1e-5, "float32": REPORTED},
}

# torch-xla against torch eager, any rung, float64: the same operations in the same order, fused differently
XLA_AGAINST_EAGER = 1e-11

# A gradient may be zero by mathematics: that of a convolution's bias in front of a GroupNorm whose groups hold one
# channel each. What is computed for it is rounding, so the error of a gradient is taken relative to its own largest
# entry or to this fraction of the largest gradient of the model, whichever is larger.
GRADIENT_FLOOR: dict[Dtype, float] = {"float64": 1e-3, "float32": 1e-2}
