"""Small models and data that the tests share."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_nsd.accelerators.device import answer_for_lightning
from lightning_nsd.accelerators.xla.device import find_devices, is_installed
from lightning_nsd.commands.training import FewShotCLI
from lightning_nsd.data import glyphs
from lightning_nsd.data.datamodule import EpisodeDataModule, Split
from lightning_nsd.data.image_set import ImageSet
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.model.dit import DiT
from lightning_nsd.model.set_vit import SetViT
from lightning_nsd.module import FewShotDiffusion
from parity_tests.compiler import compile_quickly

torch.set_num_threads(1)  # small tensors are slower with more

IMAGE_SIZE, CHANNELS, N_SHOT = 8, 3, 3

tiny_set_vit = partial(SetViT, context_dim=16, patch_size=4, depth=1, num_heads=2, head_dim=8)
tiny_dit = partial(DiT, hidden_size=16, depth=1, num_heads=2, patch_size=4)


def pytest_sessionstart() -> None:
    """Before the first backward pass and Trainer; XLA compiles without what makes it slow: it takes the time."""
    answer_for_lightning()
    os.environ["TRACKIO_DIR"] = tempfile.mkdtemp()  # read when Trackio is imported; removed with the system's own
    # What was started in the background ignores Ctrl-C and the terminal's end, and so would all that it starts itself.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    compile_quickly()
    if is_installed():
        find_devices()


@pytest.fixture(autouse=True, scope="session")
def _made_once() -> Iterator[None]:
    """Parsers of the command line and the shipped letters take longer than the smallest training: one of each."""
    make_parsers, parsers = FewShotCLI.setup_parser, {}

    def setup_parser(self: FewShotCLI, *args: Any, **kwargs: Any) -> None:
        if type(self) not in parsers:
            make_parsers(self, *args, **kwargs)
            own = {name: value for name, value in vars(self).items() if "parser" in name or "subcommand" in name}
            parsers[type(self)] = own
        vars(self).update(parsers[type(self)])

    read = cache(glyphs.read_scripts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FewShotCLI, "setup_parser", setup_parser)
        patch.setattr(glyphs, "read_scripts", lambda scripts, size: dict(read(tuple(scripts), size)))
        yield


@pytest.fixture(autouse=True)
def _no_run_of_wandb_is_left_open() -> Iterator[None]:
    """A process has one open run of W&B; the next test's logger would write into it."""
    yield
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()


class StripedData(EpisodeDataModule):
    """Eight classes of ten random images around a class's own mean, in every split."""

    def __init__(self, image_size: int = IMAGE_SIZE, channels: int = CHANNELS, n_shot: int = N_SHOT, **kwargs: Any):
        settings = {"batch_size": 4, "episodes_per_epoch": 20, "eval_episodes": 6, **kwargs}
        super().__init__(image_size, channels, n_shot, **settings)

    def load_split(self, split: Split) -> ImageSet:
        draw = torch.Generator().manual_seed(len(split))
        shape = (10, self.channels, self.image_size, self.image_size)
        return ImageSet.from_classes(
            {
                f"{split}_{i}": torch.randint(25 * i, 25 * i + 60, shape, generator=draw).to(torch.uint8)
                for i in range(8)
            }
        )


def make_model(**kwargs: Any) -> FewShotDiffusion:
    """A model that trains a step in milliseconds."""
    settings: dict[str, Any] = {
        "encoder": tiny_set_vit,
        "denoiser": tiny_dit,
        "diffusion": GaussianDiffusion(num_steps=50),
        **kwargs,
    }
    return FewShotDiffusion(IMAGE_SIZE, CHANNELS, N_SHOT, **settings)


def randomized(module: torch.nn.Module, seed: int = 0, scale: float = 0.2) -> torch.nn.Module:
    """The module with every parameter drawn anew, so that nothing that starts at zero hides a mistake."""
    draw = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = scale * torch.randn(parameter.shape, generator=draw).to(parameter.dtype)
    return module


@pytest.fixture
def randn() -> Callable[..., Tensor]:
    """Normal numbers of a shape, the same at every call with the same seed, in float64."""

    def draw(*shape: int, seed: int = 0) -> Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    return draw
