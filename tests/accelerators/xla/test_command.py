"""The XLA overlays on the command line."""

import os

from tests.cli.conftest import ROOT, TINY, start
from tests.cli.test_run import RUN


def test_the_xla_path_runs_on_any_machine_and_reports_its_graphs(tmp_path):
    tiny = [option for option in RUN if option != "--trainer.accelerator=cpu"]
    process = start("fit", *tiny, "--config=xla_cpu.yaml", "--trainer.max_steps=12", "--trainer.log_every_n_steps=6",
                    f"--trainer.default_root_dir={tmp_path}")  # fmt: skip
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert "XLA, step 12: 0 graphs compiled" in said
    assert (tmp_path / "last.ckpt").is_file()


def test_a_host_without_a_tpu_is_told_so_in_one_sentence(tmp_path):
    assert not os.path.exists("/dev/accel0")
    tiny = [option for option in TINY if option != "--trainer.accelerator=cpu"]
    process = start("fit", *tiny, "--config=tpu.yaml", f"--trainer.default_root_dir={tmp_path}")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "this machine has no TPU" in said
    assert "Traceback" not in said
    assert (ROOT / "docs" / "tpu.md").is_file()
