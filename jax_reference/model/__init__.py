"""Networks; the short names of encoders, contexts and denoisers are those of a config's `class_path`."""

from jax_reference.model.class_embedding import ClassEmbedding
from jax_reference.model.context import DeterministicContext, VariationalContext
from jax_reference.model.discrete_context import DiscreteContext
from jax_reference.model.dit import DiT
from jax_reference.model.feature_encoder import FeatureEncoder
from jax_reference.model.set_vit import SetViT
from jax_reference.model.spatial_context import SpatialContext
from jax_reference.model.unet import UNet
from jax_reference.model.unet_encoder import UNetEncoder
from jax_reference.model.vit import ViT

__all__ = [
    "ClassEmbedding",
    "DeterministicContext",
    "DiT",
    "DiscreteContext",
    "FeatureEncoder",
    "SetViT",
    "SpatialContext",
    "UNet",
    "UNetEncoder",
    "VariationalContext",
    "ViT",
]
