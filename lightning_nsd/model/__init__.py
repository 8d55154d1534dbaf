"""Networks; the short names of encoders, contexts and denoisers are enough in a config's `class_path`."""

from lightning_nsd.model.class_embedding import ClassEmbedding
from lightning_nsd.model.context import DeterministicContext, VariationalContext
from lightning_nsd.model.discrete_context import DiscreteContext
from lightning_nsd.model.dit import DiT
from lightning_nsd.model.feature_encoder import FeatureEncoder
from lightning_nsd.model.set_vit import SetViT
from lightning_nsd.model.spatial_context import SpatialContext
from lightning_nsd.model.unet import UNet
from lightning_nsd.model.unet_encoder import UNetEncoder
from lightning_nsd.model.vit import ViT

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
