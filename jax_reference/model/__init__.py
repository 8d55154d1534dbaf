"""Networks; the short names of encoders, contexts and denoisers are those of a config's `class_path`."""

from jax_reference.model.context import DeterministicContext, VariationalContext
from jax_reference.model.dit import DiT
from jax_reference.model.feature_encoder import FeatureEncoder
from jax_reference.model.set_vit import SetViT
from jax_reference.model.spatial_context import SpatialContext
from jax_reference.model.unet import UNet
from jax_reference.model.unet_encoder import UNetEncoder
from jax_reference.model.vit import ViT

__all__ = [
    "DeterministicContext",
    "DiT",
    "FeatureEncoder",
    "SetViT",
    "SpatialContext",
    "UNet",
    "UNetEncoder",
    "VariationalContext",
    "ViT",
]
