"""What configurations may name is offered by its room, so that its name alone is a `class_path`."""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

from lightning_nsd import backbones, data, latents, model
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.frozen_encoder import Backbone
from lightning_nsd.latents.autoencoder import Autoencoder
from lightning_nsd.model.context import Context
from lightning_nsd.model.denoiser import Denoiser
from lightning_nsd.model.set_encoder import SetEncoder
from lightning_nsd.model.spatial_context import SpatialContext

TESTS = Path(__file__).parent


def defined(package: ModuleType, kinds: tuple[type, ...]) -> dict[str, str]:
    """Every class of some kinds that a package's files define and that no other is made from, with its file."""
    for file in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{file.name}")
    below = list(kinds)
    for of in below:
        below += of.__subclasses__()
    own = [of for of in below if of.__module__.startswith(f"{package.__name__}.")]
    bases = {base for of in own for base in of.__bases__}
    return {of.__name__: of.__module__.rpartition(".")[2] for of in own if of not in bases}


@pytest.mark.parametrize(
    ("package", "kinds"),
    [
        (model, (SetEncoder, Context, SpatialContext, Denoiser)),
        (data, (EpisodeDataModule,)),
        (backbones, (Backbone, SetEncoder)),
        (latents, (Autoencoder,)),
    ],
    ids=["networks", "data sets", "image encoders", "autoencoders"],
)
def test_every_class_that_a_config_may_name_is_offered(package: ModuleType, kinds: tuple[type, ...]) -> None:
    assert set(defined(package, kinds)) == set(package.__all__)


def test_every_data_set_has_tests_of_its_own() -> None:
    for name, file in defined(data, (EpisodeDataModule,)).items():
        assert (TESTS / "data" / f"test_{file}.py").is_file(), name


def test_every_data_set_is_in_the_page_of_data_sets() -> None:
    page = (TESTS.parent / "docs" / "data.md").read_text(encoding="utf-8")
    for name in data.__all__:
        assert f"| `{name}` |" in page, name
