"""Data sets, each a source of episodes."""

from lightning_nsd.data.celeba import CelebA
from lightning_nsd.data.cifar100 import CIFAR100
from lightning_nsd.data.class_folder import ClassFolder
from lightning_nsd.data.cub200 import CUB200
from lightning_nsd.data.glyphs import Glyphs
from lightning_nsd.data.mini_imagenet import MiniImageNet
from lightning_nsd.data.omniglot import Omniglot

__all__ = ["CIFAR100", "CUB200", "CelebA", "ClassFolder", "Glyphs", "MiniImageNet", "Omniglot"]
