"""Every setting of `fit` with values that make no sense, found by reflection: a new option is covered when it is born.

Nothing is trained: a configuration is read, checked, and everything of it is built, up to the optimiser.
"""

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonargparse import Namespace
from lightning.pytorch import Trainer

from lightning_nsd import training_cli
from lightning_nsd.training_cli import FewShotCLI
from tests.cli.conftest import TINY
from tests.hostile.answer import assert_refused

VALUES = [0, -1, math.nan, math.inf, 1e30, 2.5, 10**12, "", "x", [], {}, None]
PER_SETTING = 3
"""Values that each setting is given in an ordinary run; a campaign gives it more, up to all."""
NO_NUMBER = [math.nan, math.inf, 1e30, "", "x", [], {}]
OURS = ("data", "model", "checkpoint", "fid", "predictions")
OPTIMIZER = "model.optimizer.init_args."
"""The optimiser's own settings are torch's: it judges them, all but the rate."""

OTHER_PARTS = [
    "--model.encoder=SetViT", "--model.encoder.patch_size=4", "--model.encoder.context_dim=8",
    "--model.encoder.depth=1", "--model.encoder.num_heads=2", "--model.encoder.head_dim=4",
    "--model.denoiser=DiT", "--model.denoiser.hidden_size=8", "--model.denoiser.depth=1",
    "--model.denoiser.num_heads=2", "--model.context=VariationalContext", "--model.sampler=DPMSolverPP",
    "--model.sampler.num_steps=5", "--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=0.1",
]  # fmt: skip
VIT = [*OTHER_PARTS, "--model.encoder=ViT", "--model.encoder.context_dim=8", "--model.encoder.depth=1",
       "--model.sampler=DDPM"]  # fmt: skip
PARTS = {"unet": [], "set_vit": OTHER_PARTS, "vit": VIT}


@pytest.fixture(scope="module")
def parsers() -> dict[str, Any]:
    """The command line's parsers, made once."""
    return {}


@pytest.fixture(autouse=True)
def _build_only(monkeypatch: pytest.MonkeyPatch, parsers: dict[str, Any]) -> None:
    """`fit` ends when the optimiser is made."""
    make = FewShotCLI.setup_parser

    def setup_parser(self: FewShotCLI, *args: Any, **kwargs: Any) -> None:
        if not parsers:
            make(self, *args, **kwargs)
            parsers.update({name: value for name, value in vars(self).items() if "parser" in name or "subcom" in name})
        vars(self).update(parsers)

    def fit(self: Trainer, model: Any, datamodule: Any = None, ckpt_path: Any = None, **_: Any) -> None:
        model.trainer = self
        model.configure_optimizers()

    monkeypatch.setattr(FewShotCLI, "setup_parser", setup_parser)
    monkeypatch.setattr(Trainer, "fit", fit)
    monkeypatch.setattr(Trainer, "estimated_stepping_batches", 10)


def settings_of(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The whole configuration that a command line makes, defaults filled in."""
    made: list[FewShotCLI] = []

    def stop(self: FewShotCLI) -> None:
        made.append(self)

    with monkeypatch.context() as patch:
        patch.setattr(FewShotCLI, "instantiate_classes", stop)
        patch.setattr(FewShotCLI, "_run_subcommand", lambda self, name: None)
        FewShotCLI(["fit", *training_cli_arguments(arguments)])
    config = made[0].config["fit"]
    text = made[0]._parser("fit").dump(Namespace(config), skip_unset=False)
    return yaml.safe_load(text)


def training_cli_arguments(arguments: list[str]) -> list[str]:
    from lightning_nsd.config_files import with_config_paths

    return with_config_paths(arguments)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a configuration has a value that is no section and no list of classes."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))
    elif path[-1] != "class_path":
        yield path


def with_value(settings: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(settings)
    place: Any = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return changed


def chosen(position: int, campaign: int) -> list[Any]:
    """Some of the values, other ones for the next setting; all of them in a campaign."""
    count = min(len(VALUES), PER_SETTING * campaign)
    return [VALUES[(position * PER_SETTING + i) % len(VALUES)] for i in range(count)]


@pytest.mark.parametrize("parts", PARTS)
def test_every_setting_is_refused_in_a_sentence_or_builds(parts, answer, tmp_path, monkeypatch, campaign):
    settings = settings_of([*TINY, *PARTS[parts], "--trainer.default_root_dir=run"], monkeypatch)
    settings.pop("config", None)
    known = set(leaves(settings_of([*TINY, "--trainer.default_root_dir=run"], monkeypatch))) if parts != "unet" else set()
    failures, tried = [], 0
    config = tmp_path / "hostile.yaml"
    for position, path in enumerate(leaf for leaf in leaves(settings) if leaf not in known):
        name = ".".join(map(str, path))
        default = settings
        for part in path:
            default = default[part]
        for value in chosen(position, campaign):
            config.write_text(yaml.safe_dump(with_value(settings, path, value)), encoding="utf-8")
            tried += 1
            try:
                found = answer("fit", "--config", config)
                if found.status != 0:
                    assert_refused(found, str(next(part for part in reversed(path) if isinstance(part, str))))
                is_number = isinstance(default, int | float) and not isinstance(default, bool)
                if path[0] in OURS and is_number and value in NO_NUMBER and not name.startswith(OPTIMIZER):
                    assert found.status == 2, "accepted"
            except Exception as error:
                failures.append(f"{name} = {value!r}: {type(error).__name__} {str(error)[:300]}")
            except AssertionError as error:
                failures.append(f"{name} = {value!r}: {str(error)[:300]}")
    assert tried > 100 or parts != "unet"
    print(f"settings of {parts}: {tried} tried")
    assert not failures, f"{len(failures)} of {tried}:\n" + "\n".join(failures)
