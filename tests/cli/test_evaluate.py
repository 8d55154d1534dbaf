"""`evaluate`, of a checkpoint alone and of two folders."""

import csv
import json

import numpy as np
import pytest
import yaml

from lightning_nsd.commands.evaluate import evaluate
from tests.cli.conftest import TINY
from tests.evaluation.conftest import MEANS, make_classes


@pytest.fixture
def trained(nsd, tmp_path):
    """A run whose last validation evaluated two classes of each held-out script."""
    status, said = nsd("fit", *TINY, "--trainer.max_steps=2", "--trainer.val_check_interval=2",
                       "--trainer.default_root_dir=run")  # fmt: skip
    assert status == 0, said
    assert "fd_glyphnet of 2 classes (val) at step 2" in said
    assert "fd_glyphnet of 2 classes (test) at step 2" in said
    assert "val/fd_glyphnet/mean" in said
    return tmp_path / "run"


@pytest.fixture
def unconditional(nsd, tmp_path):
    """A checkpoint of a model without encoder, and the run's folder is its own."""
    status, said = nsd("fit", *TINY, "--trainer.max_steps=1", "--trainer.limit_val_batches=0",
                       "--trainer.num_sanity_val_steps=0", "--trainer.default_root_dir=free", "--model.encoder=null",
                       "--model.spatial_context=null", "--model.denoiser.conditioning=none",
                       "--model.context_dropout=0", "--model.sampler.guidance=1",
                       "--fid.sampler.guidance=1")  # fmt: skip
    assert status == 0, said
    return tmp_path / "free" / "last.ckpt"


def table(root, split):
    return json.loads(next(root.glob(f"distances/{split}_*/per_class.json")).read_text())


@pytest.mark.smoke
def test_a_checkpoint_alone_gives_the_values_of_its_training(trained, nsd, tmp_path):
    for split, ckpt in (("val", "last.ckpt"), ("test", "checkpoints/step=00000002.ckpt")):
        status, said = nsd("evaluate", "--ckpt_path", trained / ckpt, "--split", split, "--out", tmp_path / "again")
        assert status == 0, said
        assert f"fd_glyphnet of 2 classes ({split}) at step 2" in said
        assert table(tmp_path / "again", split) == table(trained, split)


def test_options_come_before_those_of_the_run(trained, nsd, tmp_path):
    status, said = nsd("evaluate", "--ckpt_path", trained / "last.ckpt", "--out", "other", "--classes", "3",
                       "--num-samples=7", "--extractor", MEANS)  # fmt: skip
    assert status == 0, said
    found = table(tmp_path / "other", "test")
    assert found["distance"] == "fd_means"
    assert [row["n"] for row in found["classes"]] == [7, 7, 7]


def test_a_model_without_encoder_is_held_to_support_sets_by_the_options_that_sample_has(unconditional, nsd, tmp_path):
    drawn = {}
    for name, options in (("free", []), ("held", ["--ilvr-factor=4", "--ilvr-until=0"])):
        status, said = nsd("evaluate", "--ckpt_path", unconditional, "--out", name, "--npz", f"{name}.npz", "--steps=3",
                           "--sampler=ddpm", *options)  # fmt: skip
        assert status == 0, said
        with np.load(tmp_path / f"{name}.npz", allow_pickle=False) as found:
            drawn[name], labels = found["arr_0"], found["arr_1"]
        assert drawn[name].dtype == np.uint8 and drawn[name].shape == (8, 8, 8, 1)
        assert labels.tolist() == [0] * 4 + [1] * 4
    settings = [table(tmp_path / name, "test")["sampler"] for name in drawn]
    assert [each["class_path"].rpartition(".")[2] for each in settings] == ["DDPM", "DDPM"]
    assert [each["init_args"]["num_steps"] for each in settings] == [3, 3]
    assert [each["init_args"]["ilvr_factor"] for each in settings] == [None, 4]
    assert drawn["held"].mean() > drawn["free"].mean() + 20  # letters are mostly paper, and nothing has been learnt


def test_classes_of_another_data_set_are_drawn_in_the_size_and_colours_of_the_model(unconditional, nsd, tmp_path):
    make_classes(tmp_path / "photos", {"a": 6, "b": 6, "c": 6})
    arguments = {"root": str(tmp_path / "photos"), "image_size": 12, "channels": 3, "n_shot": 3, "val_fraction": 0.3,
                 "test_fraction": 0.4}  # fmt: skip
    other = {"data": {"class_path": "ClassFolder", "init_args": arguments}, "fid": {"extractor": "glyphnet"}}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    with pytest.warns(UserWarning, match="8 pixels and 1 channels, .*other.yaml reads images of 12 and 3: ") as warned:
        status, said = nsd("evaluate", "--ckpt_path", unconditional, "--config=other.yaml", "--out=moved", "--steps=2",
                           "--num-samples=5", "--npz=moved.npz")  # fmt: skip
    assert status == 0, said
    assert len([each for each in warned if "reads images" in str(each.message)]) == 1
    rows = table(tmp_path / "moved", "test")["classes"]
    assert {row["class"] for row in rows} < {"a", "b", "c"}
    assert all(row["n"] == 5 and row["fd_glyphnet"] > 0 for row in rows)
    with np.load(tmp_path / "moved.npz", allow_pickle=False) as found:
        assert found["arr_0"].shape == (5 * len(rows), 8, 8, 1)


def test_the_command_line_evaluates_the_split_of_its_command(trained, nsd, tmp_path):
    status, said = nsd("test", *TINY, "--ckpt_path", trained / "last.ckpt", "--trainer.default_root_dir=tested")
    assert status == 0, said
    assert table(tmp_path / "tested", "test") == table(trained, "test")


def test_two_folders_made_by_anybody(nsd, tmp_path):
    real = make_classes(tmp_path / "real", {"a": 9, "b": 5, "only_real": 4, "one": 1})
    generated = make_classes(tmp_path / "generated", {"a": 7, "b": 5, "one": 6}, seed=1, shade=100)
    status, said = nsd("evaluate", "--real-dir", real, "--generated-dir", generated, "--extractor", MEANS)
    assert status == 0, said
    assert "fd_means of 4 classes (folders)" in said
    with (tmp_path / "distances" / "folders_fd_means" / "per_class.csv").open() as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    assert {name: row["n"] for name, row in rows.items()} == {"a": "7", "b": "5", "only_real": "0", "one": "0"}
    assert rows["only_real"]["reason"].startswith("4 real and 0 generated images")
    assert float(rows["a"]["fd_means"]) > 10 * float(rows["a"]["floor"])
    assert (tmp_path / "distances" / "folders_fd_means" / "per_class.png").is_file()
    assert sorted(path.name for path in real.iterdir()) == ["a", "b", "one", "only_real"]


def test_a_folder_with_itself_has_no_distance(nsd, tmp_path):
    real = make_classes(tmp_path / "real", {"a": 9})
    nsd("evaluate", f"--real-dir={real}", f"--generated-dir={real}", "--extractor", MEANS, "--out", "out")
    found = json.loads((tmp_path / "out/distances/folders_fd_means/per_class.json").read_text())
    assert found["summary"]["mean"] <= 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "needs --ckpt_path, or --real-dir and --generated-dir"),
        (["--real-dir", "a"], "needs --ckpt_path, or --real-dir and --generated-dir"),
        (["--real-dir", "a", "--generated-dir", "b"], "is to hold one folder of images for each class"),
        (["--ckpt_path", "nosuch.ckpt"], "no checkpoint at nosuch.ckpt"),
        (["--split", "all"], "all"),
    ],
)
def test_mistakes_are_named(options, message, nsd):
    status, said = nsd("evaluate", *options)
    assert status == 2
    assert message in said


def test_mistakes_about_a_checkpoint_are_named(trained, nsd, tmp_path):
    ckpt = ["--ckpt_path", trained / "last.ckpt"]
    weights = ["--extractor=inception", "--extractor_args.weights_path=nosuch.pth"]
    assert "Get it from https" in nsd("evaluate", *ckpt, *weights)[1]
    assert "no extractor incepton" in nsd("evaluate", *ckpt, "--extractor=incepton")[1]
    text = (trained / "config.yaml").read_text()
    (trained / "config.yaml").write_text(text.replace("lightning_nsd.data.Glyphs", "foreign.code.Data"))
    assert "names foreign.code.Data as its data" in nsd("evaluate", *ckpt)[1]
    (trained / "config.yaml").write_text(text.replace("image_size: 8", "image_size: 16"))
    assert "reads images of 16 and 1" in nsd("evaluate", *ckpt)[1]
    (trained / "config.yaml").write_text("- 3")
    assert "is to hold sections" in nsd("evaluate", *ckpt)[1]
    (trained / "config.yaml").unlink()
    assert "There is no config.yaml beside" in nsd("evaluate", *ckpt)[1]


def test_from_python(tmp_path, capsys):
    real = make_classes(tmp_path / "real", {"a": 5})
    evaluate(real_dir=real, generated_dir=real, extractor=MEANS, out=tmp_path)
    assert "fd_means of 1 classes (folders)" in capsys.readouterr().out
