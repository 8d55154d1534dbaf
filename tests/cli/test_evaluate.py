"""`evaluate`, of a checkpoint alone and of two folders."""

import csv
import json

import pytest

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


def table(root, split):
    return json.loads(next(root.glob(f"distances/{split}_*/per_class.json")).read_text())


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
