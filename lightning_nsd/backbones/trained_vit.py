"""A pretrained image ViT that is trained on, as the set encoder."""

from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_nsd.backbones.timm_vit import TimmViT, Tokens, given_sizes
from lightning_nsd.errors import UserError
from lightning_nsd.model.feature_encoder import FeatureEncoder
from lightning_nsd.settings.numbers import Channels, Depth, Heads, Pixels, Shots, Width, bounded


@bounded("model.encoder")
class TrainedViT(FeatureEncoder):
    """Any of timm's Vision Transformers, see `TimmViT`, a head behind it, and the mean over the images.

    It is part of the network: in the checkpoint, the moving average and the optimiser, at the rate `encoder_lr`, and
    held for `freeze_encoder_steps`. The JAX reference has none.

    Args:
        image_size: pixels along a side.
        channels: of an image, 1 or 3.
        n_shot: images of a set in training.
        name: of timm's; see `PretrainedViT`.
        path: of the weights that training starts from, see `TimmViT.load`; random ones where None. A checkpoint has
            weights of its own, and does not need it.
        tokens: what an image's features are: `cls`, `mean` or `none`; see `TimmViT`.
        context_dim: D_c.
        mlp_head_dim: width inside a head of three layers; one Linear where None.
        pool: `mean` over an image's features, or `mean_patch`, a token for each; see `FeatureEncoder`.
        img_size: pixels along a side that images are resized to; the name's where None, as with all that follow.
        patch_size: pixels along a patch's side.
        embed_dim: width of the tokens.
        depth: transformer blocks.
        num_heads: attention heads.

    Raises:
        UserError: see `TimmViT` and its `load`, and images that are neither grey nor in colour, such as latents.
    """

    def __init__(
        self,
        image_size: Pixels,
        channels: Channels,
        n_shot: Shots,
        name: str,
        path: str | None = None,
        tokens: Tokens = "cls",
        context_dim: Width = 128,
        mlp_head_dim: Width | None = None,
        pool: Literal["mean", "mean_patch"] = "mean",
        img_size: Pixels | None = None,
        patch_size: Pixels | None = None,
        embed_dim: Width | None = None,
        depth: Depth | None = None,
        num_heads: Heads | None = None,
    ) -> None:
        if channels not in (1, 3):
            raise UserError(
                f"TrainedViT sees images of 1 or 3 channels, and is shown {channels}: with model.autoencoder set "
                "encoder_input to images, and with model.backbone choose FeatureEncoder."
            )
        sizes = given_sizes(
            img_size=img_size, patch_size=patch_size, embed_dim=embed_dim, depth=depth, num_heads=num_heads
        )
        vit = TimmViT(name, tokens, sizes)
        super().__init__(vit.size, vit.channels, n_shot, context_dim, mlp_head_dim, pool)
        self.vit = vit
        if path is not None and torch.get_default_device().type != "meta":
            vit.load(Path(path).expanduser())

    def encode_images(
        self, images: Float[Tensor, "b C H W"], t: Int[Tensor, " b"] | None = None
    ) -> Float[Tensor, "b *L D_c"]:
        """Each image on its own."""
        return super().encode_images(self.vit(images), t)
