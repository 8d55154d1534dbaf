"""Two processes: what reaches one of them alone ends both, soon, with one message and a checkpoint."""

import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from lightning_nsd.checkpoints.io import read_checkpoint
from tests.cli.conftest import TINY, start
from tests.hostile.answer import PYTHON_TALK, assert_refused
from tests.several import Ended, make_context, run_together

STEPS = 6
OPTIONS = [*TINY, f"--trainer.max_steps={STEPS}", f"--trainer.val_check_interval={STEPS}",
           "--trainer.num_sanity_val_steps=0", "--trainer.devices=2",
           "--trainer.strategy=ddp", "--checkpoint.every_n_train_steps=2", "--fid.when=never"]  # fmt: skip


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    return make_context()


@pytest.fixture(scope="module")
def both(context: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Ended, Path]]:
    """Trains in two processes, with faults (kind, rank, step)."""

    def train(
        *faults: tuple[str, int, int], evaluating: bool = False, options: Sequence[str] = ()
    ) -> tuple[Ended, Path]:
        root = tmp_path_factory.mktemp("run")
        made = ", ".join(
            f"{{class_path: tests.hostile.faults.Fault, init_args: {{kind: {kind}, rank: {rank}, step: {step}, "
            f"evaluating: {str(evaluating).lower()}}}}}"
            for kind, rank, step in faults
        )
        arguments = ["fit", *OPTIONS, f"--trainer.callbacks=[{made}]", f"--trainer.default_root_dir={root}", *options]
        ended = run_together(context, root, arguments)
        assert ended.seconds < 120, ended.all_said
        return ended, root

    return train


def step_of(root: Path) -> int:
    return int(read_checkpoint(root / "last.ckpt")["global_step"])


def assert_stopped(ended: Ended, number: signal.Signals) -> None:
    assert ended.statuses == [128 + number] * 2, ended.all_said
    assert "Traceback" not in ended.all_said
    assert ended.all_said.count("--ckpt_path last") == 1, ended.all_said
    assert ended.all_said.count(f"Stopped by {number.name}.") == 1, ended.all_said


def test_a_full_disk_of_the_first_process_is_a_warning_and_both_train_on(both):
    ended, root = both(("disk", 0, 1))
    assert ended.statuses == [0, 0], ended.all_said
    assert ended.all_said.count("No space left on device") == 1, ended.all_said
    assert step_of(root) == STEPS
    assert not (root / "checkpoints" / "step=00000002.ckpt").exists()


def test_ctrl_c_that_reaches_the_first_process_alone_stops_both_after_the_step(both):
    ended, root = both(("SIGINT", 0, 3))
    assert_stopped(ended, signal.SIGINT)
    assert step_of(root) in (3, 4)


def test_sigterm_that_reaches_one_process_in_an_evaluation_stops_both_in_it(both):
    """Three classes make two rounds, in the second of which one process has nothing to draw."""
    ended, root = both(
        ("SIGTERM", 1, 4),
        evaluating=True,
        options=["--trainer.val_check_interval=4", "--fid.when=every", "--fid.classes=3", "--fid.batch_size=4"],
    )
    assert_stopped(ended, signal.SIGTERM)
    assert step_of(root) == 4
    assert not list(root.glob("distances/*/per_class.csv"))


def test_a_loss_of_one_process_that_is_not_finite_ends_both_and_is_said_once(both):
    ended, root = both(("nan", 1, 3))
    assert ended.statuses == [2, 2], ended.all_said
    assert ended.all_said.count("error:") == 1, ended.all_said
    assert ended.all_said.count("The loss is nan at step 3 (epoch 0) in process 1") == 1, ended.all_said
    assert "Traceback" not in ended.all_said
    assert step_of(root) == 3


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_the_other_with_a_sentence(both, rank):
    ended, root = both(("SIGKILL", rank, 3))
    other = 1 - rank
    assert ended.statuses[rank] == -signal.SIGKILL
    assert ended.statuses[other] == 2, ended.all_said
    assert f"Process {other} of 2 ends" in ended.said[other], ended.all_said
    assert "Traceback" not in ended.all_said
    assert step_of(root) == (2 if rank == 0 else 3)


def test_an_error_of_one_process_is_told_by_it_and_ends_the_other_with_what_it_has(both):
    ended, root = both(("error", 1, 3))
    assert ended.statuses == [2, 1], ended.all_said
    assert ended.said[1].count("RuntimeError: out of memory, say") == 1
    assert "Traceback" not in ended.said[0]
    assert step_of(root) == 3


REFUSED = {
    "a folder of data that is not there": (["--data=ClassFolder", "--data.root=/nosuch"], "/nosuch"),
    "an unknown class for the distances": (["--fid.when=last", "--fid.classes=[nosuch]"], "nosuch"),
    "an extractor without weights": (["--fid.when=last", "--fid.strict=true", "--fid.extractor=inception",
                                      "--fid.extractor_args={weights_path: /nosuch.pth}"], "/nosuch.pth"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_start_that_is_refused_says_so_once(both, case):
    options, named = REFUSED[case]
    ended, _ = both(options=options)
    assert ended.statuses == [2, 2], ended.all_said
    assert ended.all_said.count("error:") == 1, ended.all_said
    assert named in ended.all_said
    assert not PYTHON_TALK.search(ended.all_said), ended.all_said


def test_machines_that_do_not_come_are_waited_for_no_longer_than_the_strategy_says(context, tmp_path):
    ended = run_together(
        context, tmp_path,
        ["fit", *TINY, "--trainer.num_nodes=2", "--trainer.strategy=lightning.pytorch.strategies.DDPStrategy",
         "--trainer.strategy.timeout=0:00:02", f"--trainer.default_root_dir={tmp_path}"], ranks=[0],
    )  # fmt: skip
    assert ended.statuses == [2], ended.all_said
    assert "Waiting at 127.0.0.1 for all 2 machines" in ended.all_said
    assert "error: Not all processes of the run have come" in ended.all_said
    assert not PYTHON_TALK.search(ended.all_said), ended.all_said


CLUSTERS = {
    "several machines, and nothing says where": ({}, ["--trainer.num_nodes=2"], "MASTER_ADDR, MASTER_PORT, NODE_RANK"),
    "several machines, and nothing says which": (
        {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}, ["--trainer.num_nodes=2"], "not set: NODE_RANK"),
    "tasks of no machine": ({"SLURM_NTASKS": "2"}, [], "--ntasks-per-node=2"),
    "a number of tasks that is none": ({"SLURM_NTASKS": "many"}, [], "many"),
    "tasks without a number": ({"SLURM_NTASKS": "1"}, [], "SLURM_PROCID"),
    "more tasks than devices": (
        {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
         "SLURM_NODEID": "0"}, [], "devices=1"),
}  # fmt: skip


@pytest.mark.parametrize("case", CLUSTERS)
def test_a_cluster_that_does_not_fit_is_refused_before_anything_waits(case, answer, monkeypatch, tmp_path):
    environment, options, named = CLUSTERS[case]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    said = answer("fit", *TINY, "--trainer.devices=1", "--trainer.strategy=ddp",
                  f"--trainer.default_root_dir={tmp_path}", *options)  # fmt: skip
    assert_refused(said, named)


def test_ctrl_c_while_the_package_is_imported_ends_it_without_a_traceback(tmp_path):
    process = start("fit", "--help")
    time.sleep(0.3)
    while not Path(f"/proc/{process.pid}/maps").read_text().count("libtorch"):  # in the middle of importing torch
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (128 + signal.SIGINT, "Stopped by SIGINT.\n")
