"""A ResNet: torchvision's in PyTorch against transformers' in Flax."""

import jax.numpy as jnp
import numpy as np
from torch import nn
from torchvision.models import resnet18
from transformers import FlaxResNetModel, ResNetConfig

from parity_tests.pairing import Pairing
from parity_tests.tolerances import Dtype


def pairing(dtype: Dtype = "float64") -> Pairing:
    """ResNet-18 without its last layer, random weights and statistics, on two images of 64 × 64."""
    flax = FlaxResNetModel(
        ResNetConfig(layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512]),
        input_shape=(1, 64, 64, 3), dtype=jnp.dtype(dtype),
    )  # fmt: skip
    torch = nn.Sequential(*list(resnet18().children())[:-2])
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 64))
    return Pairing(torch, (flax.module, flax.params), (images,), jax_inputs=lambda x: (x.transpose(0, 2, 3, 1),),
                   jax_options={"deterministic": True}, dtype=dtype)  # fmt: skip
