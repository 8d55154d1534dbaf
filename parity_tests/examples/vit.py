"""A Vision Transformer: timm's in PyTorch against transformers' in Flax."""

import jax.numpy as jnp
import numpy as np
import timm
from transformers import FlaxViTModel, ViTConfig

from parity_tests.pairing import Pairing
from parity_tests.tolerances import Dtype


def pairing(dtype: Dtype = "float64") -> Pairing:
    """Two layers with random weights, on two images of 32 × 32."""
    sizes = {"image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    flax = FlaxViTModel(ViTConfig(**sizes, intermediate_size=128), add_pooling_layer=False, dtype=jnp.dtype(dtype))
    torch = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=32,
        patch_size=8,
        embed_dim=32,
        depth=2,
        num_heads=4,
        num_classes=0,
        global_pool="",
    )
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32))
    return Pairing(torch, (flax.module, flax.params), (images,), jax_inputs=lambda x: (x.transpose(0, 2, 3, 1),),
                   jax_options={"deterministic": True}, dtype=dtype)  # fmt: skip
