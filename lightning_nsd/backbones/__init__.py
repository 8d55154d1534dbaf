"""Pretrained networks whose features a set encoder sees; their short names are enough in a config's `class_path`."""

from lightning_nsd.backbones.pretrained_vit import PretrainedViT

__all__ = ["PretrainedViT"]
