"""BERT in transformers: PyTorch against Flax."""

import jax.numpy as jnp
import numpy as np
from transformers import BertConfig, BertModel, FlaxBertModel

from parity_tests.pairing import Pairing
from parity_tests.tolerances import Dtype


def pairing(dtype: Dtype = "float64") -> Pairing:
    """Two layers with random weights, on two sentences of which one is padded."""
    config = BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=16,
    )
    flax = FlaxBertModel(config, dtype=jnp.dtype(dtype))
    random = np.random.default_rng(0)
    inputs = {
        "input_ids": random.integers(0, 60, (2, 10)),
        "attention_mask": (np.arange(10) < np.array([[10], [6]])).astype(np.int64),
        "token_type_ids": random.integers(0, 2, (2, 10)),
        "position_ids": np.tile(np.arange(10), (2, 1)),
    }
    options = {"head_mask": None, "deterministic": True}
    return Pairing(BertModel(config), (flax.module, flax.params), inputs,
                   jax_options=options, dtype=dtype)  # fmt: skip
