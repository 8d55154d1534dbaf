"""Checkpoints from and to other programs: the JAX source, the JAX reference, safetensors."""

from lightning_nsd.convert.jax_source import load_jax_source

__all__ = ["load_jax_source"]
