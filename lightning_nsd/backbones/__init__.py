"""Pretrained image encoders, frozen or trained; their short names are enough in a config's `class_path`."""

from lightning_nsd.backbones.pretrained_vit import PretrainedViT
from lightning_nsd.backbones.trained_vit import TrainedViT

__all__ = ["PretrainedViT", "TrainedViT"]
