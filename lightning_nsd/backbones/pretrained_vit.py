"""An image ViT, frozen, whose features a set encoder sees."""

from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lightning_nsd.backbones.timm_vit import TimmViT, Tokens, given_sizes
from lightning_nsd.errors import UserError
from lightning_nsd.files.file_hash import hash_of, hash_of_text
from lightning_nsd.frozen_encoder import Backbone, building_beside_the_model
from lightning_nsd.settings.numbers import Depth, Heads, Pixels, Seed, Width, bounded


@bounded("model.backbone")
class PretrainedViT(Backbone):
    """Any of timm's Vision Transformers, by its name, with weights from a file, frozen; see `TimmViT`.

    The network is built at its first use.

    Args:
        name: of timm's, such as `vit_small_patch14_dinov2` or `vit_base_patch16_224.augreg_in21k`; what follows the
            point decides the normalisation.
        path: of its weights, see `TimmViT.load`. Random weights where None, which are of use as a baseline alone.
        tokens: what an image's features are: `cls`, `mean` or `none`; see `TimmViT`.
        img_size: pixels along a side that images are resized to; the name's where None, as with all that follow.
        patch_size: pixels along a patch's side.
        embed_dim: width of the tokens.
        depth: transformer blocks.
        num_heads: attention heads.
        seed: of random weights.
        hash: of name, sizes and weights that are expected; any where None.

    Raises:
        UserError: see `TimmViT`; a file that is missing, or of another hash.
    """

    def __init__(
        self,
        name: str,
        path: str | None = None,
        tokens: Tokens = "cls",
        img_size: Pixels | None = None,
        patch_size: Pixels | None = None,
        embed_dim: Width | None = None,
        depth: Depth | None = None,
        num_heads: Heads | None = None,
        seed: Seed = 0,
        hash: str | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self.tokens: Tokens = tokens
        self.img_size = img_size
        self.patch_size = patch_size
        self.embed_dim = embed_dim
        self.depth = depth
        self.num_heads = num_heads
        self.seed = seed
        self._sizes = given_sizes(
            img_size=img_size, patch_size=patch_size, embed_dim=embed_dim, depth=depth, num_heads=num_heads
        )
        with torch.device("meta"), building_beside_the_model():  # no numbers, and one block: what comes out
            outline = TimmViT(name, tokens, {**self._sizes, "depth": 1})
        self.channels = outline.channels
        self.size = outline.size
        self._input_size: int = outline.network.patch_embed.img_size[0]
        self.hash = self._hash(outline)
        self.check_hash(hash, f"model.backbone: {name} of {path or 'random weights'}")

    def encode(self, images: Float[Tensor, "b C H W"]) -> Float[Tensor, "b D s s"]:
        """See `Backbone.encode`. It computes in float32, whatever the images are and whatever autocast says."""
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            return self._vit.to(images.device)(images.float()).to(images.dtype)

    def input_size(self, image_size: int) -> int:
        return self._input_size

    @cached_property
    def _vit(self) -> TimmViT:
        with torch.random.fork_rng(devices=[], device_type="cpu"), torch.device("cpu"), building_beside_the_model():
            torch.manual_seed(self.seed)
            vit = TimmViT(self.name, self.tokens, self._sizes)
            if self.path is not None:
                vit.load(Path(self.path).expanduser())
        return vit.float().eval().requires_grad_(False)

    def _hash(self, outline: TimmViT) -> str:
        """Of all that features depend on."""
        weights = f"random, {self.seed}"
        if self.path is not None:
            try:
                weights = hash_of(Path(self.path).expanduser())
            except OSError as error:
                raise UserError(
                    f"model.backbone: {self.path} cannot be read ({error.strerror}). Name the place where the weights "
                    "are; for a checkpoint, with --backbone or, in Python, backbone=."
                ) from error
        return hash_of_text(f"{self.name}\0{sorted(self._sizes.items())}\0{self.tokens}\0{outline.images}\0{weights}")
