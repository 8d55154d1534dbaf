"""GPT-2 in transformers: PyTorch, whose Conv1D keeps its kernel the other way round, against Flax."""

import jax.numpy as jnp
import numpy as np
from transformers import FlaxGPT2Model, GPT2Config, GPT2Model

from parity_tests.pairing import Pairing
from parity_tests.tolerances import Dtype


def pairing(dtype: Dtype = "float64") -> Pairing:
    """Two layers with random weights, on two texts."""
    config = GPT2Config(vocab_size=60, n_positions=16, n_embd=32, n_layer=2, n_head=4)
    flax = FlaxGPT2Model(config, dtype=jnp.dtype(dtype))
    ids = np.random.default_rng(0).integers(0, 60, (2, 10))
    ours = {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": np.tile(np.arange(10), (2, 1))}
    torch = GPT2Model(config)
    return Pairing(torch, (flax.module, flax.params), ours, dtype=dtype)
