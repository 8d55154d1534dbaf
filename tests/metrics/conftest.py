"""Features and images that the tests of distances share; nothing is written to the user's cache folder."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lightning_nsd.extractors import Extractor


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Statistics(nn.Module):
    """Mean and deviation of each channel, `(n, 6)`; counts how often it is called."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return self.scale * torch.cat([images.float().mean(dim=(2, 3)), images.float().std(dim=(2, 3))], dim=1)


def make_extractor(fingerprint: str = "statistics") -> Extractor:
    return Extractor(Statistics(), "statistics", fingerprint)


def make_bytes(n: int, size: int = 8, channels: int = 3, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, channels, size, size), generator=draw).to(torch.uint8)
