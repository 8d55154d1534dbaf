"""An image ViT (Dosovitskiy et al. 2021, arXiv 2010.11929) as the library timm has it, frozen."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lightning_nsd.backbones.backbone import Backbone
from lightning_nsd.errors import UserError
from lightning_nsd.files.file_hash import hash_of
from lightning_nsd.frozen_encoder import building_beside_the_model
from lightning_nsd.messages import first_line
from lightning_nsd.settings.numbers import Depth, Heads, Pixels, Seed, Width, bounded

POOLS = ("cls", "mean", "none")
UNUSED = ("head", "head_dist", "attn_pool")
"""Parts behind the last token, which a file may have or lack."""


@bounded("model.backbone")
class PretrainedViT(Backbone):
    """Any of timm's Vision Transformers (classes VisionTransformer and Eva), by its name, with weights from a file.

    Images are resized to the network's own size and normalised as timm's data configuration of the name says (size,
    interpolation, mean and standard deviation); nothing is cropped, and a grey image is given three equal channels. The
    network is built at its first use.

    Args:
        name: of timm's, such as `vit_small_patch14_dinov2` or `vit_base_patch16_224.augreg_in21k`; what follows the
            point decides the normalisation.
        path: of its weights: safetensors; a torch file, of which only tensors are read; or an `.npz` of Google's JAX
            models. Random weights where None, which are of use as a baseline alone.
        pool: what an image's features are: the class token (`cls`), the mean over the patches (`mean`), or one for each
            patch (`none`).
        img_size: pixels along a side that images are resized to; the name's where None, as with all that follow.
            Positions of weights for another size are interpolated.
        patch_size: pixels along a patch's side.
        embed_dim: width of the tokens.
        depth: transformer blocks.
        num_heads: attention heads.
        seed: of random weights.
        hash: of name, sizes and weights that are expected; any where None.

    Raises:
        UserError: a name that timm does not have or that is no ViT, a missing or damaged file, weights of another
            network or hash, or no timm.
    """

    def __init__(
        self,
        name: str,
        path: str | None = None,
        pool: Literal["cls", "mean", "none"] = "cls",
        img_size: Pixels | None = None,
        patch_size: Pixels | None = None,
        embed_dim: Width | None = None,
        depth: Depth | None = None,
        num_heads: Heads | None = None,
        seed: Seed = 0,
        hash: str | None = None,
    ) -> None:
        if pool not in POOLS:
            raise UserError(f"model.backbone.pool is {pool!r}, which is none of {', '.join(POOLS)}.")
        self.name = name
        self.path = path
        self.pool = pool
        self.img_size = img_size
        self.patch_size = patch_size
        self.embed_dim = embed_dim
        self.depth = depth
        self.num_heads = num_heads
        self.seed = seed
        sizes = {"img_size": img_size, "patch_size": patch_size, "embed_dim": embed_dim, "num_heads": num_heads}
        self._sizes = {argument: value for argument, value in sizes.items() if value is not None}
        with torch.device("meta"):  # no numbers, and one block: what its outputs are like
            outline = self._build(depth=1)
        if pool == "cls" and outline.cls_token is None:
            raise UserError(f"model.backbone: {name} has no class token; choose pool mean or none.")
        rows, columns = outline.patch_embed.grid_size
        if rows != columns:
            raise UserError(f"model.backbone: {name} takes images of {rows} × {columns} patches; set img_size.")
        self.channels = outline.embed_dim
        self.size = rows if pool == "none" else 1
        self.hash = self._hash()
        if hash not in (None, self.hash):
            raise UserError(
                f"model.backbone: {name} of {path or 'random weights'} is another than the one that the model was "
                f"trained with: its hash is {self.hash}, and {hash} is expected."
            )

    def encode(self, images: Float[Tensor, "b C H W"]) -> Float[Tensor, "b D s s"]:
        """See `Backbone.encode`. It computes in float32, whatever the images are and whatever autocast says."""
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            tokens = self._network.to(images.device).forward_features(self._normalised(images.float()))
            patches = tokens[:, self._network.num_prefix_tokens :]  # (b, L, D)
            chosen = {"cls": tokens[:, :1], "mean": patches.mean(dim=1, keepdim=True), "none": patches}[self.pool]
            features = self._network.fc_norm(chosen)  # the last norm of networks that are pooled before it
        return features.transpose(1, 2).unflatten(2, (self.size, self.size)).to(images.dtype)

    def _normalised(self, images: Float[Tensor, "b C H W"]) -> Float[Tensor, "b 3 H_v W_v"]:
        """Images in [-1, 1] as the network takes them."""
        grey_or_not = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        size, mode = self._network.patch_embed.img_size, self._data_config["interpolation"]
        if tuple(images.shape[-2:]) != tuple(size):
            mode = mode if mode in ("bilinear", "bicubic") else "bicubic"
            grey_or_not = F.interpolate(grey_or_not, size, mode=mode, antialias=True).clamp(-1.0, 1.0)
        mean, std = (images.new_tensor(self._data_config[key])[:, None, None] for key in ("mean", "std"))
        return ((grey_or_not + 1.0) / 2.0 - mean) / std

    # ---- the network ----

    def _build(self, depth: int | None) -> Any:
        """The network without its numbers from a file.

        Raises:
            UserError: there is no such network.
        """
        try:
            import timm
            from timm.models import Eva, VisionTransformer
        except ImportError as error:
            raise UserError("model.backbone needs the library timm: pip install 'lightning-nsd[timm]'.") from error
        if ":" in self.name or "/" in self.name or not timm.is_model(self.name):  # a hub's, or a folder's, is read
            raise UserError(
                f"model.backbone: timm has no network {self.name[:100]}. timm.list_models('*vit*') lists the names."
            )
        sizes = self._sizes if depth is None else {**self._sizes, "depth": depth}
        try:
            with building_beside_the_model():
                network = timm.create_model(self.name, pretrained=False, num_classes=0, **sizes)
        except Exception as error:  # sizes that do not go together, or that are none of the network's
            raise UserError(f"model.backbone: timm cannot build {self.name}: {first_line(error)}") from error
        if not isinstance(network, VisionTransformer | Eva):
            raise UserError(f"model.backbone: {self.name} is a {type(network).__name__} and no Vision Transformer.")
        return network

    @cached_property
    def _network(self) -> Any:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(self.seed)
            network = self._build(self.depth)
            if self.path is not None:
                _load(network, Path(self.path).expanduser())
        return network.float().eval().requires_grad_(False)

    @cached_property
    def _data_config(self) -> dict[str, Any]:
        import timm
        from timm.data import resolve_data_config

        found = timm.get_pretrained_cfg(self.name)
        return resolve_data_config(pretrained_cfg=found.to_dict() if found else {})

    def _hash(self) -> str:
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
        images = [self._data_config[key] for key in ("interpolation", "mean", "std")]
        described = f"{self.name}\0{sorted(self._sizes.items())}\0{self.depth}\0{self.pool}\0{images}\0{weights}"
        return hashlib.blake2b(described.encode(), digest_size=16).hexdigest()


def _load(network: Any, path: Path) -> None:
    """Weights of a file in a network.

    Raises:
        UserError: the file cannot be read, or is of another network.
    """
    from timm.models import Eva, eva, load_checkpoint, vision_transformer

    renamed = (eva if isinstance(network, Eva) else vision_transformer).checkpoint_filter_fn
    try:
        result = load_checkpoint(network, str(path), strict=False, filter_fn=renamed, weights_only=True)
    except Exception as error:  # whatever is wrong with the file
        raise UserError(f"{path} cannot be read as weights of {type(network).__name__}: {first_line(error)}") from error
    if result is None:  # an .npz, of which every array is asked for by name
        return
    differing = [key for keys in result for key in keys if key.partition(".")[0] not in UNUSED]
    if differing:
        raise UserError(
            f"{path} holds the weights of another network: {len(differing)} are missing or too many, such as "
            f"{differing[0][:100]}."
        )
