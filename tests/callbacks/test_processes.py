"""Two processes give the value of one, and none waits for another in vain."""

import json

import pytest
from torch import distributed

from lightning_nsd.cli import main
from tests.cli.conftest import TINY
from tests.evaluation.conftest import Means
from tests.several import make_context, run_together

RUN = [*TINY, "--data.eval_episodes=4", "--fid.num_samples=14", "--fid.classes=5", "--fid.batch_size=6",
       "--trainer.callbacks=[]", "--trainer.num_sanity_val_steps=0"]  # fmt: skip

FAILS = "--fid.extractor=tests.callbacks.test_processes.FailsInOneProcess"


class FailsInOneProcess(Means):
    def forward(self, images):
        if distributed.get_rank() == 1:
            raise RuntimeError("rank 1")
        return super().forward(images)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    assert main(["fit", *RUN, "--trainer.max_steps=2", f"--trainer.default_root_dir={root}",
                 "--trainer.limit_val_batches=0"]) == 0  # fmt: skip
    return root / "last.ckpt"


@pytest.fixture(scope="module")
def context():
    return make_context()


def arguments(root, checkpoint, *options):
    return ["validate", *RUN, f"--ckpt_path={checkpoint}", f"--trainer.default_root_dir={root}", *options]


def in_two(context, root, checkpoint, *options):
    two = "--trainer.devices=2", "--trainer.strategy=ddp"
    return run_together(context, root, arguments(root, checkpoint, *options, *two))


def results(root):
    return json.loads(next(root.glob("distances/*/per_class.json")).read_text())


def test_two_gloo_processes_give_the_value_of_one(checkpoint, context, tmp_path, capsys):
    options = "--fid.mixture_samples=20", "--fid.bits_samples=8", "--fid.bits_timesteps=5"
    assert main(arguments(tmp_path / "one", checkpoint, *options)) == 0
    ended = in_two(context, tmp_path, checkpoint, *options)
    assert ended.statuses == [0, 0], ended.all_said
    for said in (capsys.readouterr().out, ended.all_said):
        assert said.count("fd_glyphnet of 5 classes (val) at step 2") == 1
    found = results(tmp_path)
    assert found == results(tmp_path / "one")
    assert found["complete"]
    assert len(found["classes"]) == 5
    assert len(found["mixture"]) == 2
    assert all(row["bits"] > 0 for row in found["classes"])


def test_a_failure_in_one_process_is_counted_by_all(checkpoint, context, tmp_path):
    """Five classes and two processes: the last class is compared by one process alone."""
    ended = in_two(context, tmp_path, checkpoint, FAILS)
    assert ended.statuses == [0, 0], ended.all_said
    found = results(tmp_path)
    failed = [row["class"] for row in found["classes"] if row["reason"] == "RuntimeError: rank 1"]
    assert found["summary"]["failed"] == len(failed) == 2
    assert ended.all_said.count("Traceback") >= 2


def test_strict_ends_all_processes(checkpoint, context, tmp_path):
    ended = in_two(context, tmp_path, checkpoint, FAILS, "--fid.strict=true")
    assert not {0, None} & set(ended.statuses), ended.all_said
    assert "EvaluationError" in ended.all_said
