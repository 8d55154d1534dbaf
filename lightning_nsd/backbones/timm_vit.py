"""An image ViT (Dosovitskiy et al. 2021, arXiv 2010.11929) as the library timm has it, from images to features."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lightning_nsd.errors import UserError
from lightning_nsd.messages import first_line

Tokens = Literal["cls", "mean", "none"]
UNUSED = ("head", "head_dist", "attn_pool")
"""Parts behind the last token, which a file may have or lack."""


class TimmViT(nn.Module):
    """One of timm's Vision Transformers (classes VisionTransformer and Eva) with random weights.

    Images are resized to the network's own size and normalised as timm's data configuration of the name says
    (interpolation, mean and standard deviation); nothing is cropped, and a grey image is given three equal channels.

    Args:
        name: of timm's.
        tokens: what an image's features are: the class token (`cls`), the mean over the patches (`mean`), or one for
            each patch (`none`).
        sizes: arguments of the network that are not those of the name.

    Attributes:
        channels: D, of a feature.
        size: s, features along a side of an image; 1 where an image has a single one.
        images: how images are normalised.

    Raises:
        UserError: a name that timm does not have or that is no ViT, sizes that do not fit, or no timm.
    """

    def __init__(self, name: str, tokens: Tokens, sizes: Mapping[str, Any]) -> None:
        super().__init__()
        self.network: Any = _build(name, sizes)
        self.network.attn_pool = None  # behind the tokens, and never used
        self.tokens = tokens
        self.images = _images_of(name)
        if tokens == "cls" and self.network.cls_token is None:
            raise UserError(f"{name} has no class token; choose tokens mean or none.")
        self.channels: int = self.network.embed_dim
        self.size: int = self.network.patch_embed.grid_size[0] if tokens == "none" else 1

    def forward(self, images: Float[Tensor, "b C H W"]) -> Float[Tensor, "b D s s"]:
        """Features of images in [-1, 1], grey ones or in colour, of any size."""
        output = self.network.forward_features(self._normalised(images))  # (b, prefix + L, D)
        patches = output[:, self.network.num_prefix_tokens :]  # (b, L, D)
        chosen = {"cls": output[:, :1], "mean": patches.mean(dim=1, keepdim=True), "none": patches}[self.tokens]
        features = self.network.fc_norm(chosen)  # the last norm of networks that are pooled before it
        return features.transpose(1, 2).unflatten(2, (self.size, self.size))

    def _normalised(self, images: Float[Tensor, "b C H W"]) -> Float[Tensor, "b 3 H_v W_v"]:
        in_colour = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        size = tuple(self.network.patch_embed.img_size)
        if tuple(images.shape[-2:]) != size:
            in_colour = F.interpolate(in_colour, size, mode=self.images["interpolation"], antialias=True)
            in_colour = in_colour.clamp(-1.0, 1.0)
        mean, std = (images.new_tensor(self.images[key])[:, None, None] for key in ("mean", "std"))
        return ((in_colour + 1.0) / 2.0 - mean) / std

    def load(self, path: Path) -> None:
        """Take the weights of a file: safetensors, an `.npz` of Google's JAX models, or a torch file, of which only
        tensors are read. Positions for another size are interpolated.

        Raises:
            UserError: there is no such file, it cannot be read, or it is of another network.
        """
        if not path.is_file():
            raise UserError(f"There is no file {path}, of which the weights of a ViT are to be read.")
        from timm.models import Eva, eva, load_checkpoint, vision_transformer

        renamed = (eva if isinstance(self.network, Eva) else vision_transformer).checkpoint_filter_fn
        try:
            result = load_checkpoint(self.network, str(path), strict=False, filter_fn=renamed, weights_only=True)
        except Exception as error:  # whatever is wrong with the file
            raise UserError(f"{path} cannot be read as weights of the named ViT: {first_line(error)}") from error
        if result is None:  # an .npz, of which every array is asked for by name
            return
        differing = [key for keys in result for key in keys if key.partition(".")[0] not in UNUSED]
        if differing:
            raise UserError(
                f"{path} holds the weights of another network: {len(differing)} are missing or too many, such as "
                f"{differing[0][:100]}."
            )


def given_sizes(**sizes: int | None) -> dict[str, Any]:
    """Arguments that are given; the others are the name's."""
    return {name: value for name, value in sizes.items() if value is not None}


def _build(name: str, sizes: Mapping[str, Any]) -> Any:
    try:
        import timm
        from timm.models import Eva, VisionTransformer
    except ImportError as error:
        raise UserError(f"{name[:100]} needs the library timm: pip install 'lightning-nsd[timm]'.") from error
    if ":" in name or "/" in name or not timm.is_model(name):  # a hub's, or a folder's, would be read
        raise UserError(f"timm has no network {name[:100]}. timm.list_models('*vit*') lists the names.")
    try:
        network = timm.create_model(name, pretrained=False, num_classes=0, **sizes)
    except Exception as error:  # sizes that do not go together, or that are none of the network's
        raise UserError(f"timm cannot build {name}: {first_line(error)}") from error
    if not isinstance(network, VisionTransformer | Eva):
        raise UserError(f"{name} is a {type(network).__name__} and no Vision Transformer.")
    rows, columns = network.patch_embed.grid_size
    if rows != columns:
        raise UserError(f"{name} takes images of {rows} × {columns} patches; set img_size.")
    return network


def _images_of(name: str) -> dict[str, Any]:
    """Interpolation, mean and standard deviation of a name; bicubic where torch has none such."""
    import timm
    from timm.data import resolve_data_config

    found = timm.get_pretrained_cfg(name)
    config = resolve_data_config(pretrained_cfg=found.to_dict() if found else {})
    mode = config["interpolation"] if config["interpolation"] in ("bilinear", "bicubic") else "bicubic"
    return {"interpolation": mode, "mean": config["mean"], "std": config["std"]}
