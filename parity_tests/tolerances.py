"""Every tolerance of the ladder, and why it is what it is. Nothing is loosened anywhere else."""

from typing import Literal

Dtype = Literal["float64", "float32"]
DTYPES: tuple[Dtype, ...] = ("float64", "float32")
LowPrecision = Literal["bfloat16", "bf16-mixed", "tf32", "tpu"]

REPORTED = float("inf")  # shown in the table, never a failure

TOLERANCES: dict[str, dict[Dtype, float]] = {
    # a copy, or the same computation once more
    "weights": {"float64": 0.0, "float32": 0.0},
    # errors are fractions of what chance may do
    "initialisation": {"float64": 1.0, "float32": 1.0},
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
    # errors are fractions of the bounds of TRUTH below
    "truth": {"float64": 1.0, "float32": 1.0},
    # the first and the last step are of first order, and timesteps are whole numbers: felt least from 20 steps on
    "truth order": {"float64": 0.15, "float32": 0.15},
}

# torch-xla against torch eager, any rung, float64: the same operations in the same order, fused differently
XLA_AGAINST_EAGER = 1e-11

# A gradient may be zero by mathematics: that of a convolution's bias in front of a GroupNorm whose groups hold one
# channel each. What is computed for it is rounding, so the error of a gradient is taken relative to its own largest
# entry or to this fraction of the largest gradient of the model, whichever is larger.
GRADIENT_FLOOR: dict[Dtype, float] = {"float64": 1e-3, "float32": 1e-2}

# How far samplers at their own spacing may be off on data whose exact network is known, at 5, 10, 20 and 50 of 1,000
# steps, as fractions of the data's standard deviation: a tenth above what the methods give (docs/samplers.md), and half
# a per cent at least.
TRUTH_STEPS = (5, 10, 20, 50)
TRUTH: dict[tuple[str, str], dict[str, tuple[float, float, float, float]]] = {
    ("DDPM", "linear"): {
        "N(0, 0.5²)": (0.55, 0.22, 0.11, 0.039),
        "N(0, 0.1²)": (6.5, 2.8, 1.1, 0.32),
    },
    ("DDPM", "cosine"): {
        "N(0, 0.5²)": (0.27, 0.12, 0.055, 0.021),
        "N(0, 0.1²)": (3.3, 1.1, 0.42, 0.15),
    },
    ("DDIM", "linear"): {
        "N(0, 0.5²)": (0.61, 0.31, 0.16, 0.062),
        "N(0, 0.1²)": (0.88, 0.73, 0.51, 0.25),
        "mixture": (0.66, 0.32, 0.16, 0.077),
    },
    ("DDIM", "cosine"): {
        "N(0, 0.5²)": (0.37, 0.18, 0.086, 0.035),
        "N(0, 0.1²)": (0.79, 0.55, 0.32, 0.14),
        "mixture": (0.38, 0.17, 0.11, 0.05),
    },
    ("DDIM, eta 1", "linear"): {
        "N(0, 0.5²)": (0.64, 0.39, 0.25, 0.13),
        "N(0, 0.1²)": (0.95, 0.81, 0.6, 0.36),
    },
    ("DDIM, eta 1", "cosine"): {
        "N(0, 0.5²)": (0.44, 0.27, 0.16, 0.073),
        "N(0, 0.1²)": (0.85, 0.62, 0.41, 0.23),
    },
    ("DPM-Solver++(2M)", "linear"): {
        "N(0, 0.5²)": (0.23, 0.035, 0.017, 0.005),
        "N(0, 0.1²)": (0.22, 0.005, 0.011, 0.005),
        "mixture": (0.37, 0.13, 0.043, 0.015),
    },
    ("DPM-Solver++(2M)", "cosine"): {
        "N(0, 0.5²)": (0.21, 0.04, 0.018, 0.005),
        "N(0, 0.1²)": (0.21, 0.0088, 0.014, 0.005),
        "mixture": (0.36, 0.14, 0.05, 0.019),
    },
}
