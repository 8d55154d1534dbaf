"""How XLA compiles for tests: tiny arrays, where compiling takes the time."""

import os
from importlib.metadata import PackageNotFoundError, version

UNOPTIMISED = "--xla_backend_optimization_level=0"
WITHOUT_EMITTERS = "--xla_cpu_use_fusion_emitters=false"
"""Without them compiling takes half the time, and a single operation has no use of them."""
NO_LONGER_KNOWN = (0, 11)
"""The jax from which on there is no such flag: XLA ends a process that names one that it does not know."""


def compile_quickly() -> None:
    """Compile without optimising, in JAX and torch-xla; called before either starts. What the user has set stays."""
    try:
        major, minor = version("jax").split(".")[:2]
        knows = (int(major), int(minor)) < NO_LONGER_KNOWN
    except PackageNotFoundError:
        knows = True  # torch-xla alone, whose last release knows it
    os.environ.setdefault("XLA_FLAGS", f"{UNOPTIMISED} {WITHOUT_EMITTERS}" if knows else UNOPTIMISED)
