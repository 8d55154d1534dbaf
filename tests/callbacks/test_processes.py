"""Two processes give the value of one, and none waits for another in vain."""

import json

import pytest
from torch import distributed

from tests.cli.conftest import TINY, start
from tests.evaluation.conftest import Means

RUN = [*TINY, "--data.eval_episodes=4", "--fid.num_samples=14", "--fid.classes=5", "--fid.batch_size=6",
       "--trainer.callbacks=[]", "--trainer.num_sanity_val_steps=0"]  # fmt: skip


class FailsInOneProcess(Means):
    def forward(self, images):
        if distributed.get_rank() == 1:
            raise RuntimeError("rank 1")
        return super().forward(images)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    said, status = finish("fit", *RUN, "--trainer.max_steps=2", f"--trainer.default_root_dir={root}",
                          "--trainer.limit_val_batches=0")  # fmt: skip
    assert status == 0, said
    return root / "last.ckpt"


def finish(*arguments):
    process = start(*arguments)
    said, _ = process.communicate(timeout=300)
    return said, process.returncode


def validate(root, checkpoint, devices, *options):
    return finish(
        "validate", *RUN, f"--ckpt_path={checkpoint}", f"--trainer.default_root_dir={root}", *options,
        *([] if devices == 1 else [f"--trainer.devices={devices}", "--trainer.strategy=ddp"]),
    )  # fmt: skip


def test_two_gloo_processes_give_the_value_of_one(checkpoint, tmp_path):
    found = []
    for devices in (1, 2):
        root = tmp_path / str(devices)
        of_bits = "--fid.bits_samples=8", "--fid.bits_timesteps=5"
        said, status = validate(root, checkpoint, devices, "--fid.mixture_samples=20", *of_bits)
        assert status == 0, said
        assert said.count("fd_glyphnet of 5 classes (val) at step 2") == 1
        found.append(json.loads(next(root.glob("distances/*/per_class.json")).read_text()))
    assert found[0] == found[1]
    assert found[0]["complete"]
    assert len(found[0]["classes"]) == 5
    assert len(found[0]["mixture"]) == 2
    assert all(row["bits"] > 0 for row in found[0]["classes"])


def test_a_failure_in_one_process_is_counted_by_all(checkpoint, tmp_path):
    """Five classes and two processes: the last class is compared by one process alone."""
    said, status = validate(tmp_path, checkpoint, 2, "--fid.extractor=tests.callbacks.test_processes.FailsInOneProcess")
    assert status == 0, said
    found = json.loads(next(tmp_path.glob("distances/*/per_class.json")).read_text())
    failed = [row["class"] for row in found["classes"] if row["reason"] == "RuntimeError: rank 1"]
    assert found["summary"]["failed"] == len(failed) == 2
    assert said.count("Traceback") >= 2


def test_strict_ends_all_processes(checkpoint, tmp_path):
    said, status = validate(
        tmp_path, checkpoint, 2, "--fid.extractor=tests.callbacks.test_processes.FailsInOneProcess", "--fid.strict=true"
    )
    assert status not in (0, None), said
    assert "EvaluationError" in said
