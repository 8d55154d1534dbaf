"""Mistakes on the command line end in one clear message before any data is loaded."""

import pytest

from lightning_nsd.data.glyphs import Glyphs
from tests.cli.conftest import TINY


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.nosuch=3"], "model.nosuch"),
        (["--data.nosuch=3"], "Glyphs takes no nosuch"),
        (["--data.batch_size=two"], "data.batch_size is two; it must be a whole number from 1 to 65,536."),
        (["--trainer.max_steps=many"], "trainer.max_steps is many; it must be a whole number."),
        (["--model.encoder.pool=maxi"], "model.encoder.pool is maxi; it must be mean, flatten or mean_patch."),
        (["--data.class_path=Nosuch"], "Nosuch"),
        (["--data.image_size=17"], "17; it can be 32, 16 or 8"),
        (["--data.n_shot=0"], "data.n_shot is 0"),
        (["--model.denoiser=DiT", "--model.denoiser.patch_size=3"], "8 × 8 pixels"),
        (["--model.encoder.pool=mean_patch"], "pool gives tokens"),
        (["--model.context_dropout=0"], "guidance is 2.0"),
        (["--model.sampler.num_steps=2000"], "2000, but the diffusion has only 1000"),
        (["--checkpoint.keep=1"], "checkpoint.keep is 1; it must be a whole number from 2"),
        (["--ckpt_path=last"], "no readable checkpoint"),
        (["--ckpt_path=nosuch.ckpt"], "no checkpoint at nosuch.ckpt"),
        (["--config=nosuch.yaml"], "no config nosuch.yaml"),
    ],
)
def test_a_mistake_is_named(arguments, message, nsd, monkeypatch):
    def load(*_):
        raise AssertionError("data was loaded before the mistake was found")

    monkeypatch.setattr(Glyphs, "load_split", load)
    status, said = nsd("fit", *TINY, *arguments)
    assert status == 2
    assert message in said
    assert "Traceback" not in said
    assert len(said[said.index("error:") :].splitlines()) <= 6


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("lightning_nsd.xla.strategy.SingleXLA", "lightning_nsd.accelerators.xla.strategy.SingleXLA"),
        ("lightning_nsd.xla.spmd.SPMD", "lightning_nsd.accelerators.xla.spmd.SPMD"),
    ],
)
def test_a_strategy_that_an_earlier_version_had_elsewhere_is_said_to_be_called_otherwise_now(
    before, now, nsd, tmp_path
):
    saved = tmp_path / "config.yaml"
    saved.write_text(f"trainer:\n  strategy:\n    class_path: {before}\n")
    status, said = nsd("fit", *TINY, f"--config={saved}")
    assert status == 2
    assert said.endswith(f"error: trainer.strategy: {before} is called {now} now.\n")


def test_a_callback_that_an_earlier_version_had_elsewhere_is_said_to_be_called_otherwise_now(nsd, tmp_path):
    saved = tmp_path / "config.yaml"
    saved.write_text("trainer:\n  callbacks:\n    - class_path: lightning_nsd.xla.trace_report.TraceReport\n")
    status, said = nsd("fit", *TINY[:2], f"--config={saved}")
    assert status == 2
    assert "TraceReport is called lightning_nsd.accelerators.trace_report.TraceReport now." in said


def test_an_unknown_command_lists_the_known_ones(nsd):
    status, said = nsd("train")
    assert status == 2
    assert "no command train" in said
    assert "sample" in said


def test_set_vit_with_another_number_of_shots_than_the_checkpoint(nsd, tmp_path):
    vit = ["--model.encoder=SetViT", "--model.encoder.patch_size=4", "--model.encoder.context_dim=8",
           "--model.encoder.depth=1", "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0"]  # fmt: skip
    tiny = [argument for argument in TINY if "--model.encoder" not in argument]
    tiny = [*tiny, *vit, "--trainer.default_root_dir=run"]
    assert nsd("fit", *tiny, "--trainer.max_steps=1")[0] == 0
    status, said = nsd("fit", *tiny, "--trainer.max_steps=2", "--ckpt_path=last", "--data.n_shot=2")
    assert status == 2
    assert "model.n_shot: 3 in the checkpoint, 2 in the configuration" in said


def test_the_configuration_can_be_printed(nsd):
    status, said = nsd("fit", *TINY, "--print_config")
    assert status == 0
    assert "model_channels: 4" in said
