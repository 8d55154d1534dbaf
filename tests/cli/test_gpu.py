"""`gpu.yaml` on the CPU: all of it but the card."""

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import nn

from lightning_nsd.callbacks.fast_kernels import FastKernels
from lightning_nsd.checkpoints.io import read_checkpoint
from lightning_nsd.errors import UserError
from tests.cli.conftest import TINY
from tests.conftest import make_model

GPU = [*TINY, "--config=gpu.yaml", "--trainer.accelerator=cpu", "--model.compile=false", "--fid.when=never",
       "--trainer.val_check_interval=2", "--trainer.default_root_dir=run"]  # fmt: skip


@pytest.fixture
def float32_precision():
    before = torch.get_float32_matmul_precision()
    yield before
    torch.set_float32_matmul_precision(before)


def test_a_run_keeps_weights_optimiser_and_average_in_float32_and_leaves_torch_as_it_was(nsd, float32_precision):
    status, said = nsd("fit", *GPU, "--trainer.max_steps=4")
    assert status == 0, said
    checkpoint = read_checkpoint("run/last.ckpt")
    moments = [value for state in checkpoint["optimizer_states"][0]["state"].values() for value in state.values()]
    floats = [value for value in (*checkpoint["state_dict"].values(), *moments) if value.is_floating_point()]
    assert floats and {value.dtype for value in floats} == {torch.float32}
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["fused"]
    assert any(name.startswith("ema.") for name in checkpoint["state_dict"])
    assert torch.get_float32_matmul_precision() == float32_precision


def test_gradients_are_clipped_for_a_fused_optimiser_in_bfloat16(nsd):
    """Lightning refuses it for an optimiser that unscales gradients itself. First moments are of what it was given."""
    status, said = nsd("fit", *GPU, "--trainer.max_steps=1", "--trainer.gradient_clip_val=1e-6")
    assert status == 0, said
    moments = [s["exp_avg"].norm() for s in read_checkpoint("run/last.ckpt")["optimizer_states"][0]["state"].values()]
    assert 0 < torch.stack(moments).norm() < 1.001e-7  # a tenth of the clipped gradient


def test_a_run_goes_on_in_another_precision_and_back(nsd):
    for steps, precision in ((2, "bf16-mixed"), (4, "32-true"), (6, "bf16-mixed")):
        status, said = nsd("fit", *GPU, f"--trainer.max_steps={steps}", f"--trainer.precision={precision}",
                           *(["--ckpt_path=last"] if steps > 2 else []))  # fmt: skip
        assert status == 0, said
        assert read_checkpoint("run/last.ckpt")["global_step"] == steps


def test_a_checkpoint_of_channels_last_weights_is_any_others(nsd):
    status, said = nsd("fit", *GPU, "--trainer.max_steps=2")
    assert status == 0, said
    status, said = nsd("convert", "--input=run/last.ckpt", "--output=weights.safetensors")
    assert status == 0, said
    kept, written = read_checkpoint("run/last.ckpt")["state_dict"], load_file("weights.safetensors")
    kernels = {name for name, value in written.items() if value.dim() == 4}
    assert kernels and all(torch.equal(written[name], kept[name]) for name in kernels)


def test_channels_last_changes_the_order_in_memory_and_no_value():
    module = make_model()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    FastKernels().on_fit_start(None, module)
    after = module.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    kernels = [value for value in module.parameters() if value.dim() == 4]
    assert kernels and all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


def test_tf32_holds_from_set_up_to_the_end_however_a_run_ends(float32_precision):
    for end in ("teardown", "on_exception"):
        kernels = FastKernels()
        kernels.setup(None, make_model(), "fit")
        assert torch.get_float32_matmul_precision() == "high"
        getattr(kernels, end)()
        assert torch.get_float32_matmul_precision() == float32_precision


def test_numbers_that_are_compared_are_not_rounded(nsd, float32_precision):
    with pytest.raises(UserError, match=r"FastKernels.tf32.*model.parity"):
        FastKernels().setup(None, make_model(parity=True), "fit")
    FastKernels(tf32=False).setup(None, make_model(parity=True), "fit")
    assert torch.get_float32_matmul_precision() == float32_precision


@pytest.mark.parametrize("mode", [True, "reduce-overhead"])
def test_the_network_is_compiled_in_the_mode_that_is_named(mode, nsd, monkeypatch):
    modes = []
    monkeypatch.setattr(nn.Module, "compile", lambda module, mode: modes.append((type(module).__name__, mode)))
    status, said = nsd("fit", *GPU, "--trainer.max_steps=1", f"--model.compile={yaml.safe_dump(mode).split()[0]}")
    assert status == 0, said
    assert modes == [("FewShotDenoiser", None if mode is True else mode)]
