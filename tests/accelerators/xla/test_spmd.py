"""SPMD on four virtual devices computes what one device computes with the same global batch."""

import json
import os
import subprocess
import sys

import pytest
import torch

from lightning_nsd.accelerators.xla.spmd import SPMD, largest_divisible_axis
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.errors import UserError
from tests.cli.conftest import ROOT


def trained(kind, root):
    devices = {} if kind == "single" else {"CPU_NUM_DEVICES": "4"}
    environment = {**os.environ, "PJRT_DEVICE": "CPU", **devices}
    command = [sys.executable, "-m", "tests.accelerators.xla.spmd_run", kind, str(root)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return read_checkpoint(root / "last.ckpt")["state_dict"], json.loads((root / "seen.json").read_text())


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return trained("single", tmp_path_factory.mktemp("single"))


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["replicated", "sharded"])
def test_four_devices_end_with_the_weights_of_one(kind, single, tmp_path):
    weights, seen = trained(kind, tmp_path)
    assert all("devices=[4,1,1,1,1]" in sharding for sharding in seen["shardings"])
    assert len(seen["shardings"]) == 8
    steps = [b - a for a, b in zip(seen["executed"][3:], seen["executed"][4:], strict=False)]
    assert set(steps) == {1}
    for key, value in single[0].items():
        torch.testing.assert_close(weights[key], value, rtol=1e-10, atol=1e-12, msg=lambda m, key=key: f"{key}: {m}")


def test_spmd_after_the_first_tensor_on_a_device_is_refused():
    with pytest.raises(UserError, match="before the first tensor"):
        SPMD()


def test_a_parameter_is_shared_out_along_its_longest_axis_that_divides():
    assert largest_divisible_axis(torch.Size([3, 8, 16]), 4) == 2
    assert largest_divisible_axis(torch.Size([8, 6]), 4) == 0
    assert largest_divisible_axis(torch.Size([3]), 4) is None
    assert largest_divisible_axis(torch.Size([]), 4) is None
