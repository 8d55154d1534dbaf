"""fit, validate, test, predict and sample from end to end, and runs that are killed."""

import csv
import signal
import time

import numpy as np
import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from PIL import Image

import lightning_nsd
from lightning_nsd import cli
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.commands.sample import read_support
from tests.cli.conftest import TINY, start
from tests.report.conftest import Parsed
from tests.training.conftest import assert_same_end


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of four steps with evaluation every two, and what it said."""
    root = tmp_path_factory.mktemp("trained")
    process = start("fit", *TINY, f"--trainer.default_root_dir={root}", "--trainer.max_steps=4",
                    "--trainer.val_check_interval=2", "--checkpoint.every_n_train_steps=2")  # fmt: skip
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return root, said


@pytest.mark.smoke
def test_everything_of_a_run_is_in_its_folder_and_named_at_the_end(trained):
    root, said = trained
    assert sorted(p.name for p in (root / "checkpoints").iterdir()) == ["step=00000002.ckpt", "step=00000004.ckpt"]
    assert read_checkpoint(root / "last.ckpt")["global_step"] == 4
    pictures = {p.name for p in (root / "samples").iterdir()}
    assert pictures == {f"{split}_step={step:08d}.png" for split in ("train", "val", "test") for step in (2, 4)}
    table = said[said.index("Run finished after 4 steps") :]
    for name in ("last.ckpt", "val_step=00000004.png", "metrics.csv", "val/loss"):
        assert name in table


def test_the_csv_has_the_loss_of_every_logged_step_and_of_every_evaluation(trained):
    with (trained[0] / "logs" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len([row for row in rows if row["train/loss"]]) == 4
    assert [float(row["val/loss"]) > 0 for row in rows if row["val/loss"]] == [True, True]


def test_the_progress_bar_has_loss_and_images_per_second(trained):
    assert "loss=" in trained[1]
    assert "images/s=" in trained[1]


def test_a_checkpoint_loads_with_its_average_in_evaluation_mode(trained):
    model = lightning_nsd.load(trained[0] / "last.ckpt")
    weights = read_checkpoint(trained[0] / "last.ckpt")["state_dict"]
    assert not model.training
    assert (model.image_size, model.channels, model.n_shot) == (8, 1, 3)
    for name, parameter in model.model.named_parameters():
        assert torch.equal(parameter, weights[f"ema.{name}"])
    assert any(not torch.equal(weights[f"ema.{n}"], weights[f"model.{n}"]) for n, _ in model.model.named_parameters())
    assert model.sample(torch.zeros(2, 3, 1, 8, 8), 4).shape == (2, 4, 1, 8, 8)


@pytest.mark.smoke
@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_a_checkpoint_is_evaluated(command, trained, nsd, tmp_path):
    root = trained[0]
    status, said = nsd(command, *TINY, f"--trainer.default_root_dir={tmp_path}", f"--ckpt_path={root / 'last.ckpt'}")
    assert status == 0, said
    if command != "predict":
        split = {"validate": "val", "test": "test"}[command]
        assert f"{split}/loss" in said
        assert [p.name.split("_")[0] for p in (tmp_path / "samples").iterdir()] == [split]


def test_the_evaluation_of_a_checkpoint_is_that_of_its_training(trained, nsd, tmp_path):
    root = trained[0]
    nsd("validate", *TINY, f"--trainer.default_root_dir={tmp_path}", f"--ckpt_path={root / 'last.ckpt'}")

    def last(folder):
        with next((folder / "logs").glob("*.csv")).open() as file:
            return [row["val/loss"] for row in csv.DictReader(file) if row["val/loss"]][-1]

    assert last(tmp_path) == last(root)
    same = [(folder / "samples" / "val_step=00000004.png").read_bytes() for folder in (root, tmp_path)]
    assert same[0] == same[1]


# ---- sample ----


@pytest.fixture
def support(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, size in enumerate([(8, 8), (40, 20), (9, 100)]):
        pixels = np.random.default_rng(i).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.mark.smoke
def test_pictures_of_anything_make_a_grid_and_single_images(trained, support, nsd, tmp_path):
    status, said = nsd("sample", "--ckpt_path", trained[0] / "last.ckpt", "--support", support, "--num", 7,
                       "--out", tmp_path / "new" / "grid.png", "--sampler", "ddim", "--steps", 2)  # fmt: skip
    assert status == 0, said
    assert "resized to 8 × 8: 1.png (40 × 20), 2.png (9 × 100)" in said
    assert Image.open(tmp_path / "new" / "grid.png").mode == "L"
    singles = sorted((tmp_path / "new" / "grid").iterdir())
    assert [path.name for path in singles] == [f"{i:03d}.png" for i in range(7)]
    assert Image.open(singles[0]).size == (8, 8)


def test_the_same_seed_draws_the_same_images(trained, support, nsd, tmp_path):
    def draw(name, *options):
        nsd(
            "sample", "--ckpt_path", trained[0] / "last.ckpt", "--support", support, "--num", 1, "--out", name, *options
        )
        return (tmp_path / name).read_bytes()

    assert draw("a.png") == draw("b.png")
    assert draw("a.png") != draw("c.png", "--seed", 1)
    assert draw("a.png") != draw("d.png", "--sampler", "dpm++", "--steps", 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num", "0"], "num is 0"),
        (["--steps", "0"], "steps is 0"),
        (["--steps", "1001"], "1001, but the diffusion has only 1000"),
        (["--out", "grid.xyz"], "end in .png"),
        (["--support", "nowhere"], "no folder nowhere"),
        (["--ckpt_path", "nosuch.ckpt"], "no checkpoint at nosuch.ckpt"),
        (["--sampler", "euler"], "euler"),
    ],
)
def test_mistakes_of_sample_are_named(options, message, trained, support, nsd):
    status, said = nsd("sample", "--ckpt_path", trained[0] / "last.ckpt", "--support", support, *options)
    assert status == 2
    assert message in said


def test_a_picture_that_cannot_be_read_is_named(trained, support, nsd):
    (support / "3.png").write_bytes(b"no picture")
    status, said = nsd("sample", "--ckpt_path", trained[0] / "last.ckpt", "--support", support)
    assert status == 2
    assert "3.png is no image" in said


def test_what_a_mac_leaves_beside_a_picture_is_no_picture(support):
    before = read_support(support, 8, 3)
    (support / "._0.png").write_bytes(b"of the finder")
    assert torch.equal(read_support(support, 8, 3), before)


def test_support_images_keep_their_order_and_range(support):
    images = read_support(support, 8, 3)
    assert images.shape == (3, 3, 8, 8)
    expected = np.asarray(Image.open(support / "0.png")).transpose(2, 0, 1)
    torch.testing.assert_close(images[0], torch.tensor(expected / 127.5 - 1, dtype=torch.float32))


# ---- stopping ----


RUN = [*TINY, "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0", "--checkpoint.every_n_train_steps=5",
       "--model.lr_schedule.annealing=none"]  # fmt: skip


def wait_for(path, process):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_killed_and_resumed_a_run_ends_like_one_that_never_stopped(tmp_path, nsd):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start("fit", *RUN, "--trainer.max_steps=40", f"--trainer.default_root_dir={killed}")
    wait_for(killed / "checkpoints" / "step=00000010.ckpt", process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 5 <= read_checkpoint(killed / "last.ckpt")["global_step"] < 40  # killed maybe before the link was renamed
    for root, options in ((whole, []), (killed, ["--ckpt_path=last"])):
        status, said = nsd("fit", *RUN, "--trainer.max_steps=40", f"--trainer.default_root_dir={root}", *options)
        assert status == 0, said
    assert_same_end(whole, killed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_how_to_go_on_and_has_its_report(tmp_path, number):
    process = start("fit", *RUN, "--trainer.max_steps=100000", f"--trainer.default_root_dir={tmp_path}")
    wait_for(tmp_path / "checkpoints" / "step=00000005.ckpt", process)
    process.send_signal(number)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + number, said
    assert "--ckpt_path last" in said
    assert "Traceback" not in said
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] >= 5
    assert f"stopped by {number.name}" in Parsed((tmp_path / "report.html").read_text(encoding="utf-8")).text


@pytest.mark.parametrize("status", [None, 143], ids=["as Lightning 2.6 has it", "as it is to be"])
def test_an_evaluation_that_sigterm_ended_has_its_status_whatever_lightning_gives_it(status, nsd, monkeypatch):
    def stopped():
        error = SIGTERMException()
        error.code = status
        raise error

    monkeypatch.setattr(cli, "FewShotCLI", stopped)
    assert nsd("validate") == (128 + signal.SIGTERM, "Stopped by SIGTERM.\n")


def test_a_new_run_in_a_used_folder_moves_the_earlier_one_aside(nsd, tmp_path):
    for _ in range(2):
        assert nsd("fit", *RUN, "--trainer.max_steps=1", f"--trainer.default_root_dir={tmp_path / 'run'}")[0] == 0
    assert (tmp_path / "run" / "earlier-1" / "last.ckpt").is_file()
    assert (tmp_path / "run" / "last.ckpt").is_file()
