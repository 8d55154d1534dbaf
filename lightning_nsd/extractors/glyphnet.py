"""A small classifier of the shipped glyphs, so that a distance can be reported offline and within seconds."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from lightning_nsd.errors import UserError
from lightning_nsd.extractors.extractor import Extractor, check_weights, file_hash, resize

NAME = "glyphnet"
FOLDER = Path(__file__).parent.parent / "assets" / "glyphnet"
WEIGHTS = FOLDER / "glyphnet.safetensors"
REMEDY = "It is part of the package; install lightning-nsd again, or make it with scripts/train_glyphnet.py."
IMAGE_SIZE = 32
FEATURES = 32


class GlyphNet(nn.Module):
    """Bytes `(n, 3, H, W)`, of which the mean channel counts, to 32 features.

    Trained by `scripts/train_glyphnet.py` to tell all 519 characters apart, the held-out scripts' included: it only
    judges, and nothing of it reaches a model that is trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(1, 24),  # (n, 24, 16, 16)
            *_convolution(24, 48),  # (n, 48, 8, 8)
            *_convolution(48, 64),  # (n, 64, 4, 4)
            nn.Conv2d(64, 96, 3, padding=1, bias=False),
            nn.BatchNorm2d(96),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(96 * 16, FEATURES),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.from_grey(images.float().mean(dim=1, keepdim=True))

    def from_grey(self, images: Tensor) -> Tensor:
        """Float `(n, 1, H, W)` in 0…255 → `(n, 32)`."""
        return self.layers(resize(images, IMAGE_SIZE) / 127.5 - 1.0)


def _convolution(c_in: int, c_out: int) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2)]


def build(weights_path: str | None = None) -> Extractor:
    """The network with its weights.

    Args:
        weights_path: other weights than the shipped ones, as `scripts/train_glyphnet.py` writes them.

    Raises:
        UserError: no weights, or weights of another network.
    """
    path = Path(weights_path).expanduser() if weights_path else WEIGHTS
    check_weights(path, "", REMEDY)
    network = GlyphNet()
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:  # safetensors raises its own kinds
        raise UserError(f"{path} does not hold the weights of {NAME}: {error}. {REMEDY}") from error
    return Extractor(network, NAME, f"{NAME} {file_hash(path)} {IMAGE_SIZE}")
