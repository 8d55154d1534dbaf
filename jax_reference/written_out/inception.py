"""InceptionV3 (Szegedy et al. 2015, arXiv 1512.00567) up to its pooled features, the network of FID."""

from typing import Literal

import jax
from flax import nnx

from jax_reference.written_out.inception_blocks import (
    BasicConv2d,
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
    max_pool,
)
from jax_reference.written_out.layers import Linear
from jax_reference.written_out.resize import resize, resize_like_tensorflow1

Resize = Literal["antialias", "tf1"]
"""How images become 299 × 299: as torchmetrics does it, or TensorFlow 1."""

IMAGE_SIZE = 299
CLASSES = 1008


class InceptionV3(nnx.Module):
    """Bytes `(n, 3, H, W)` to 2048 features, in the variant that FID was first computed with (Heusel et al. 2017).

    Attributes are named as in torch-fidelity's network. `fc` belongs to the published weights and gives class scores,
    which no distance looks at.

    Args:
        resize: how images become 299 × 299.
    """

    def __init__(self, resize: Resize = "antialias", *, rngs: nnx.Rngs) -> None:
        self.resize = resize
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, (3, 3), stride=2, rngs=rngs)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, (3, 3), rngs=rngs)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, (3, 3), padding=(1, 1), rngs=rngs)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, (1, 1), rngs=rngs)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, (3, 3), rngs=rngs)
        self.Mixed_5b = InceptionA(192, pool_features=32, rngs=rngs)
        self.Mixed_5c = InceptionA(256, pool_features=64, rngs=rngs)
        self.Mixed_5d = InceptionA(288, pool_features=64, rngs=rngs)
        self.Mixed_6a = InceptionB(288, rngs=rngs)
        self.Mixed_6b = InceptionC(768, channels_7x7=128, rngs=rngs)
        self.Mixed_6c = InceptionC(768, channels_7x7=160, rngs=rngs)
        self.Mixed_6d = InceptionC(768, channels_7x7=160, rngs=rngs)
        self.Mixed_6e = InceptionC(768, channels_7x7=192, rngs=rngs)
        self.Mixed_7a = InceptionD(768, rngs=rngs)
        self.Mixed_7b = InceptionE(1280, max_pooled=False, rngs=rngs)
        self.Mixed_7c = InceptionE(2048, max_pooled=True, rngs=rngs)
        self.fc = Linear(2048, CLASSES, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Bytes `(n, 3, H, W)` → `(n, 2048)`, in the dtype of the parameters."""
        x = images.astype(self.Conv2d_1a_3x3.conv.kernel[...].dtype)
        x = resize(x, IMAGE_SIZE) if self.resize == "antialias" else resize_like_tensorflow1(x, IMAGE_SIZE)
        x = (x - 128) / 128  # (n, 3, 299, 299) in [-1, 1)
        x = self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))  # (n, 32, 147, 147)
        x = max_pool(self.Conv2d_2b_3x3(x), stride=2)  # (n, 64, 73, 73)
        x = max_pool(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), stride=2)  # (n, 192, 35, 35)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # (n, 288, 35, 35)
        x = self.Mixed_6a(x)  # (n, 768, 17, 17)
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # (n, 2048, 8, 8)
        return x.mean(axis=(2, 3))
