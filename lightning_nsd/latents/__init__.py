"""Autoencoders between images and latents; their short names are enough in a config's `class_path`."""

from lightning_nsd.latents.diffusers_autoencoder import DiffusersAutoencoder

__all__ = ["DiffusersAutoencoder"]
