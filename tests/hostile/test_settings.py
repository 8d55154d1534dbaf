"""Every setting of `fit` with values that make no sense, found by reflection: a new option is covered when it is born.

Nothing is trained: a configuration is read, checked, and everything of it is built, up to the optimiser.
"""

import copy
import functools
import math
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import pytest
import yaml
from lightning.pytorch import Trainer

from lightning_nsd.commands.training import FewShotCLI
from lightning_nsd.settings.config_files import with_config_paths
from parity_tests.campaign import in_campaign
from tests.cli.conftest import TINY
from tests.hostile.answer import Answer, assert_refused

Place = tuple[str | int, ...]

VALUES = [0, -1, math.nan, math.inf, 1e30, 2.5, 10**12, "", "x", [], {}, None]
PER_SETTING = 3
"""Values that each setting is given in an ordinary run; a campaign gives it more, up to all."""
NEVER_A_NUMBER = [math.nan, math.inf, 1e30, "", "x", [], {}]
OURS = ("data", "model", "checkpoint", "fid", "predictions")
OPTIMIZER = "model.optimizer.init_args."
"""The optimiser's own settings are torch's: it judges them, all but the rate, and names itself."""

SET_VIT = ["--model.encoder=SetViT", "--model.encoder.patch_size=4", "--model.encoder.context_dim=8",
           "--model.encoder.depth=1", "--model.encoder.num_heads=2", "--model.encoder.head_dim=4",
           "--model.denoiser=DiT", "--model.denoiser.hidden_size=8", "--model.denoiser.depth=1",
           "--model.denoiser.num_heads=2", "--model.context=VariationalContext", "--model.sampler=DPMSolverPP",
           "--model.sampler.num_steps=5", "--model.optimizer=torch.optim.SGD", "--model.optimizer.lr=0.1"]  # fmt: skip
VIT = [*SET_VIT, "--model.encoder=ViT", "--model.encoder.context_dim=8", "--model.encoder.depth=1",
       "--model.sampler=DDPM", "--model.context=DiscreteContext"]  # fmt: skip
FEATURES = [*SET_VIT, "--model.encoder=FeatureEncoder", "--model.spatial_context=null",
            "--model.backbone=PretrainedViT", "--model.backbone.name=vit_tiny_patch16_224"]  # fmt: skip
PARTS = {"unet": [], "set_vit": SET_VIT, "vit": VIT, "features": FEATURES}


@pytest.fixture(autouse=True)
def _build_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """`fit` ends when the optimiser is made."""

    @functools.wraps(Trainer.fit)  # the command's own options are its arguments
    def fit(self: Trainer, model: Any, **_: Any) -> None:
        model.trainer = self
        model.configure_optimizers()

    monkeypatch.setattr(FewShotCLI, "after_fit", lambda self: None)
    monkeypatch.setattr(Trainer, "fit", fit)
    monkeypatch.setattr(Trainer, "estimated_stepping_batches", 10)


def settings_of(parts: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The whole configuration that a command line makes, defaults filled in."""
    made: list[FewShotCLI] = []
    with monkeypatch.context() as patch:
        patch.setattr(FewShotCLI, "instantiate_classes", lambda self: made.append(self))
        patch.setattr(FewShotCLI, "_run_subcommand", lambda self, name: None)
        patch.setattr(sys, "argv", ["nsd", *with_config_paths(["fit", *TINY, *PARTS[parts]])])
        FewShotCLI()
    text = made[0]._parser("fit").dump(made[0].config["fit"], skip_unset=False)
    settings = yaml.safe_load(text)
    settings.pop("config", None)
    return {**settings, "trainer": {**settings["trainer"], "default_root_dir": "run"}}


def leaves(value: Any, path: Place = ()) -> Iterator[Place]:
    """Where a configuration has a value that is no section and no list of classes."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))
    elif path[-1] != "class_path":
        yield path


def sections(value: Any, path: Place = ()) -> Iterator[Place]:
    """Where a configuration has a section of settings."""
    if isinstance(value, dict) and value and "class_path" not in value and path[-1:] != ("init_args",):
        if path:
            yield path
        for name, item in value.items():
            yield from sections(item, (*path, name))


def at(settings: Any, path: Place) -> Any:
    for name in path:
        settings = settings[name]
    return settings


def with_value(settings: dict[str, Any], path: Place, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(settings)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def chosen(position: int, campaign: int) -> list[Any]:
    """Some of the values, other ones for the next setting; all of them in a campaign."""
    count = min(len(VALUES), PER_SETTING * campaign)
    return [VALUES[(position * PER_SETTING + i) % len(VALUES)] for i in range(count)]


def assert_clear(found: Answer, path: Place, default: Any, value: Any) -> None:
    """Refused in a sentence that names the setting; a number of ours that is none is never accepted."""
    name = ".".join(map(str, path))
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    if found.status != 0:
        named = "model.optimizer" if name.startswith(OPTIMIZER) else str(path[-1])
        assert_refused(found, "checkpoint" if named == "ckpt_path" and value == "x" else named)
    elif path[0] in OURS and is_number and not name.startswith(OPTIMIZER):
        assert value not in NEVER_A_NUMBER, "accepted"


IN_A_CAMPAIGN = ("vit", "features")


def test_what_is_too_slow_is_left_out_of_an_ordinary_run(request, campaign):
    assert campaign > 1 or not any(item.get_closest_marker("campaign") for item in request.session.items)


@pytest.mark.parametrize("parts", in_campaign(PARTS, IN_A_CAMPAIGN))
def test_every_setting_is_refused_in_a_sentence_or_builds(parts, answer, tmp_path, monkeypatch, campaign):
    settings = settings_of(parts, monkeypatch)
    known = set() if parts == "unet" else set(leaves(settings_of("unet", monkeypatch)))
    failures, tried = [], 0
    config = tmp_path / "hostile.yaml"
    for position, path in enumerate(leaf for leaf in leaves(settings) if leaf not in known):
        for value in chosen(position, campaign):
            config.write_text(yaml.safe_dump(with_value(settings, path, value)), encoding="utf-8")
            tried += 1
            try:
                assert_clear(answer("fit", "--config", config), path, at(settings, path), value)
            except (Exception, AssertionError) as error:
                failures.append(f"{'.'.join(map(str, path))} = {value!r}: {type(error).__name__} {str(error)[:300]}")
    assert tried > (300 if parts == "unet" else 10)
    assert not failures, f"{len(failures)} of {tried}:\n" + "\n".join(failures)


@pytest.mark.parametrize("name", ["max_steps", "overfit_batches", "accumulate_grad_batches"])
def test_a_number_of_the_trainer_that_a_file_leaves_empty_is_refused(name, answer, tmp_path, monkeypatch):
    config = tmp_path / "hostile.yaml"
    config.write_text(yaml.safe_dump(with_value(settings_of("unet", monkeypatch), ("trainer", name), None)))
    assert_refused(answer("fit", "--config", config), f"trainer.{name} is null; it must be a ")


@pytest.mark.parametrize("value", [[], 3, None, "x", [1]])
def test_a_whole_section_that_is_no_mapping_is_refused(value, answer, tmp_path, monkeypatch):
    settings = settings_of("unet", monkeypatch)
    config = tmp_path / "hostile.yaml"
    found = list(sections(settings))
    assert {("trainer",), ("checkpoint",), ("fid",), ("model",), ("model", "diffusion")} <= set(found)
    for path in found:
        config.write_text(yaml.safe_dump(with_value(settings, path, value)), encoding="utf-8")
        assert_refused(answer("fit", "--config", config), ".".join(map(str, path)))


def test_sections_of_the_command_line_are_mappings_too(answer):
    for name in ("trainer", "checkpoint", "model", "fid"):
        for value in ("3", "[]", "x"):
            assert_refused(answer("fit", *TINY, f"--{name}={value}"), f"{name} is {value}")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("trainer.devices=-1", "devices"),
        ("trainer.devices=[]", "devices"),
        ("trainer.limit_train_batches=-1", "trainer.limit_train_batches is -1; it must be a number from 0"),
        ("trainer.limit_val_batches=2.5", "limit_val_batches"),
        ("trainer.overfit_batches=-1", "trainer.overfit_batches is -1"),
        ("trainer.val_check_interval=soon", "val_check_interval"),
        ("trainer.val_check_interval=0", "trainer.val_check_interval is 0"),
        ("trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch is 0"),
        ("trainer.accelerator=x", "accelerator"),
        ("trainer.accelerator=gpu", "trainer.accelerator"),
        ("trainer.strategy=x", "strategy"),
        ("trainer.strategy=fsdp", "strategy"),
        ("trainer.max_time=soon", "trainer.max_time"),
        ("trainer.max_time={hours: -1}", "trainer.max_time"),
        ("trainer.gradient_clip_algorithm=x", "gradient_clip_algorithm"),
        ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val is -1; it must be a number from 0"),
        ("trainer.profiler=x", "profiler"),
        ("trainer.num_nodes=0", "trainer.num_nodes is 0"),
        ("trainer.accumulate_grad_batches=1000000000000", "trainer.accumulate_grad_batches is 1000000000000"),
        ("trainer.fast_dev_run=1000000000000", "trainer.fast_dev_run is 1000000000000"),
        ("trainer.log_every_n_steps=0", "trainer.log_every_n_steps is 0"),
        ("seed_everything=-1", "seed_everything is -1"),
        ("model.optimizer=torch.optim.LBFGS", "model.optimizer"),
        ("model.optimizer=torch.optim.Muon", "model.optimizer"),
        ("model.optimizer=os.system", "model.optimizer"),
        ("model.optimizer.lr=-1", "model.optimizer"),
        ("model.optimizer.lr=.inf", "model.optimizer.lr is inf; it must be a number from 0 to 1,000"),
        ("model.encoder_lr=-1", "model.encoder_lr is -1"),
        ("model.denoiser_lr=-0.1", "model.denoiser_lr is -0.1"),
        ("model.ema_decay=1.5", "model.ema_decay is 1.5; it must be a number from 0 to 1."),
        ("model.ema_decay=-0.5", "model.ema_decay is -0.5"),
        ("model.ema_decay=nan", "model.ema_decay is nan"),
        ("model.encoder.num_res_blocks=-1", "model.encoder.num_res_blocks is -1"),
        ("model.denoiser.num_res_blocks=-1", "model.denoiser.num_res_blocks is -1"),
        (
            "model.spatial_context.num_res_blocks=0",
            "model.spatial_context.num_res_blocks is 0; it must be a whole number",
        ),
        ("model.spatial_context.model_channels=1000000000000", "model.spatial_context.model_channels is 1000000000000"),
        ("model.spatial_context=DiT", "model.spatial_context"),
        ("model.encoder.context_dim=0", "model.encoder.context_dim is 0"),
        ("model.denoiser.model_channels=65536", "Its widest layer is model.denoiser."),
        ("model.denoiser.channel_multipliers=[]", "channel_multipliers"),
        ("fid.num_samples=0", "fid.num_samples is 0; it must be a whole number from 2"),
        ("fid.num_samples=-1", "fid.num_samples is -1"),
        ("data.eval_episodes=0", "data.eval_episodes is 0"),
        ("data.batch_size=1000000000000", "data.batch_size is 1000000000000"),
        ("trainer.callbacks.init_args.num_images=0", "num_images is 0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_sentence(setting, words, answer):
    assert_refused(answer("fit", *TINY, f"--{setting}"), words)


def test_every_number_that_can_be_set_has_a_bound(monkeypatch):
    classes = {at(settings_of(parts, monkeypatch), path)
               for parts in PARTS for path in class_paths(settings_of(parts, monkeypatch))}  # fmt: skip
    ours = [found for found in map(imported, classes) if found.__module__.startswith("lightning_nsd.")]
    assert len(ours) >= 8
    for found in ours:
        for name, hint in get_type_hints(found.__init__, include_extras=True).items():
            assert hint not in (int, float, int | None, float | None) or name == "context_dim", f"{found}.{name}"


def class_paths(value: Any, path: Place = ()) -> Iterator[Place]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "class_path":
                yield (*path, name)
            yield from class_paths(item, (*path, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from class_paths(item, (*path, number))


def imported(path: str) -> type:
    module, _, name = path.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)


def test_no_option_lets_a_checkpoint_run_code(answer):
    found = answer("fit", *TINY, "--weights_only=0")
    assert found.status == 2
    assert "unrecognized" in found.message


# ---- files ----

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


NO_CONFIGURATION = [
    (b"trainer: {max_steps: 1} # \xff\xfe", "is not UTF-8"),
    ("trainer: {max_steps: 1}\n".encode("utf-16"), "is not UTF-8"),
    (BOMB.encode(), "unfolds to more than"),
    (b"trainer: &a\n  logger: *a\n", "holds itself"),
    (b"trainer: &a [*a]\n", "holds itself"),
    (b"[" * 5000, "is no YAML"),
    (b"[" * 500, "deep"),
    (b"{a: " * 500, "deep"),
    (b"trainer: {max_steps: 1", "is no YAML"),
    (b"trainer:\n\t- 3", "is no YAML"),
    (b"- 3", "is to hold sections"),
    (b"", "is to hold sections"),
    (b"x: " + b"9" * 5000, "cannot be read"),
    (b"!!python/object/apply:os.system [touch executed]", "is no YAML"),
    (b"trainer: !!python/object/apply:os.system [touch executed]", "is no YAML"),
]
NO_CONFIGURATION_OF_AN_EVALUATION = [
    (b'data: !!int ""', "cannot be read"),
    (b"data: !!timestamp x", "cannot be read"),
    (b"fid: []", "fid is [];"),
    (b"fid: 3", "fid is 3;"),
    (b"data: 3", "config"),
    (b"data: {class_path: Glyphs}\nseed_everything: .inf", "seed_everything is inf; it must be a whole number"),
    (b"data: {class_path: Glyphs}\nseed_everything: {}", "seed_everything is {}; it must be a whole number"),
    (b"data: {class_path: Glyphs}\nseed_everything: -1", "seed_everything is -1; it must be a whole number"),
    (b"{}", "no section data"),
]


@pytest.mark.parametrize(("content", "words"), NO_CONFIGURATION)
def test_a_file_that_is_no_configuration_is_refused(content, words, answer, tmp_path):
    (tmp_path / "hostile.yaml").write_bytes(content)
    assert_refused(answer("fit", "--config", "hostile.yaml"), "hostile.yaml", words)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(("content", "words"), [*NO_CONFIGURATION, *NO_CONFIGURATION_OF_AN_EVALUATION])
@pytest.mark.parametrize("named", [True, False], ids=["named", "found beside a checkpoint"])
def test_an_evaluation_refuses_it_too(named, content, words, answer, tmp_path, good):
    shutil.copy(good, tmp_path / "copy.ckpt")
    (tmp_path / "config.yaml").write_bytes(content)
    option = ["--config=config.yaml", "--out=out"] if named else []
    assert_refused(answer("evaluate", f"--ckpt_path={tmp_path / 'copy.ckpt'}", *option), "config.yaml", words)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("option", ["--model=&a {diffusion: *a}", "--trainer.callbacks=&a [*a]"])
def test_what_the_command_line_gives_as_yaml_has_the_same_bounds(option, answer):
    assert_refused(answer("fit", *TINY, option), "holds itself")


# ---- before the first step ----


def raising(error: Exception) -> Callable[..., None]:
    @functools.wraps(Trainer.fit)
    def fit(self: Trainer, *_: Any, **__: Any) -> None:
        raise error

    return fit


def test_whatever_is_raised_before_the_first_step_is_a_sentence(answer, monkeypatch):
    monkeypatch.setattr(Trainer, "fit", raising(RuntimeError("something\nin `max_epochs`")))
    assert_refused(answer("fit", *TINY), "trainer.max_epochs: something in")
    monkeypatch.setattr(Trainer, "fit", raising(PermissionError(13, "Permission denied", "/some/where")))
    assert_refused(answer("fit", *TINY), "Permission denied: /some/where")


def test_the_traceback_is_there_for_who_asks_for_it(answer, monkeypatch):
    monkeypatch.setattr(Trainer, "fit", raising(RuntimeError("inside")))
    assert_refused(answer("fit", *TINY), "inside", "LIGHTNING_NSD_DEBUG=1")
    monkeypatch.setenv("LIGHTNING_NSD_DEBUG", "1")
    with pytest.raises(RuntimeError, match="inside"):
        answer("fit", *TINY)


def test_an_error_after_the_first_step_keeps_its_traceback(answer, monkeypatch):
    @functools.wraps(Trainer.fit)
    def fit(self: Trainer, *_: Any, **__: Any) -> None:
        next(callback for callback in self.callbacks if type(callback).__name__ == "FirstStep").taken = True
        raise RuntimeError("a defect")

    monkeypatch.setattr(Trainer, "fit", fit)
    with pytest.raises(RuntimeError, match="a defect"):
        answer("fit", *TINY)
