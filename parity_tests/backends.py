"""The backends that are compared, set to exact arithmetic: torch eager, torch-xla on the CPU, JAX on the CPU."""

import importlib.util
import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["PJRT_DEVICE"] = "CPU"

import jax
import torch

from parity_tests.compiler import compile_quickly

XLA_MISSING = "torch_xla is not installed (the extra `xla` has it, for Linux on x86-64)"


def exact(threads: int = 1) -> None:
    """float64 in JAX, and no shortened multiplications anywhere.

    Args:
        threads: of torch. One is fastest for tiny arrays.
    """
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(threads)


def compile_once(cache: Path) -> None:
    """For tiny arrays, where compiling takes the time: compile without optimising, and only once in a checkout."""
    compile_quickly()
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def forget_compiled() -> None:
    """Free what JAX keeps of compiled functions: of no use to the next test file, and gigabytes after all of them."""
    jax.clear_caches()


def has_xla() -> bool:
    """Whether torch-xla can be imported."""
    return importlib.util.find_spec("torch_xla") is not None


def torch_device(backend: str) -> torch.device:
    """Where the torch side computes: `torch` (eager, on the CPU) or `xla` (torch-xla's CPU device)."""
    if backend == "torch":
        return torch.device("cpu")
    import torch_xla

    from lightning_nsd.accelerators.xla.exact import use_exact_operations

    use_exact_operations()
    return torch_xla.device()
