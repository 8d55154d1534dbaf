"""A training step on an accelerator is only sent there: it reads nothing back and waits for no copy.

The device is torch's `meta`, which holds no values: whatever needs one (`.item()`, `.cpu()`, a branch, a mask) fails.
"""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lightning_nsd import rng
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.model.context import VariationalContext
from lightning_nsd.model.spatial_context import SpatialContext
from lightning_nsd.model.unet import UNet
from lightning_nsd.model.unet_encoder import UNetEncoder
from lightning_nsd.training.ema import update_ema
from tests.conftest import StripedData, make_model

META = torch.device("meta")
UNET = {"model_channels": 8, "channel_multipliers": (1, 2), "num_res_blocks": 1}
MODELS = {
    "dit": {"context": VariationalContext, "diffusion": GaussianDiffusion(50, variance="learned")},
    "unet": {
        "encoder": partial(UNetEncoder, context_dim=8, **UNET),
        "denoiser": partial(UNet, conditioning="film", attention_resolutions=(4,), num_heads=2, dropout=0.1, **UNET),
        "spatial_context": SpatialContext,
    },
}


class Copies(TorchDispatchMode):
    """Notes copies from the host that the host waits for."""

    def __init__(self):
        super().__init__()
        self.waited_for, self.sent = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket._qualified_op_name
        if name in ("aten::_to_copy", "aten::copy_"):
            source = args[1] if name == "aten::copy_" else args[0]
            non_blocking = (kwargs or {}).get("non_blocking", len(args) > 2 and args[2])
            if source.device.type == "cpu" and result.device == META:
                self.sent += 1
                if not non_blocking:
                    self.waited_for.append(f"{name} of {tuple(source.shape)}")
        return result


@pytest.fixture
def on_meta(monkeypatch):
    """A step of a model on the device, as a function of its number."""
    for module in ("lightning_nsd.random_source", "lightning_nsd.rng"):
        monkeypatch.setattr(f"{module}.device_generator", lambda device, *key: None)  # there is no generator of `meta`

    def build(**kwargs):
        trainer = SimpleNamespace(
            world_size=1, global_rank=0, global_step=0, accumulate_grad_batches=1,
            strategy=SimpleNamespace(root_device=META, batch_to_device=None),
            precision_plugin=SimpleNamespace(convert_input=lambda data: data),
        )  # fmt: skip
        module = make_model(context_dropout=0.2, **kwargs).to(META)
        module._trainer = trainer
        data = StripedData(images_on_device=True, horizontal_flip=True, episode_symmetries=True)
        data.trainer = trainer

        def step(number):
            batch = module.transfer_batch_to_device(data.training_batch(number), META, 0)
            batch = data.on_after_batch_transfer(batch, 0)
            terms = module._episode_loss(module.model, batch, 0, rng.Stream.TRAIN_NOISE, module.context_dropout)
            terms["loss"].mean().backward()
            torch.nn.utils.clip_grad_norm_(module.model.parameters(), 1.0)
            update_ema(module.ema, module.model, 0.9)

        return step

    return build


@pytest.mark.parametrize("model", MODELS)
def test_a_step_reads_no_value_of_the_device_and_waits_for_no_copy(model, on_meta):
    step = on_meta(**MODELS[model])
    step(0)  # the schedule's tables go there once
    with Copies() as copies:
        step(1)
    assert copies.sent > 0
    assert not copies.waited_for


def test_a_copy_that_is_waited_for_and_a_value_that_is_read_would_be_seen(on_meta):
    with Copies() as copies:
        there = torch.zeros(3).to(META)
    assert copies.waited_for == ["aten::_to_copy of (3,)"]
    with pytest.raises(RuntimeError, match="meta"):
        there.sum().item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_run_on_a_gpu_synchronises_at_logging_steps_alone(fit, tmp_path):
    from lightning.pytorch import Callback

    class NoSync(Callback):
        """An error for every step between those that are logged."""

        def on_train_batch_start(self, trainer, *_):
            torch.cuda.set_sync_debug_mode("default" if trainer.global_step % 4 in (0, 3) else "error")

        def on_train_end(self, *_):
            torch.cuda.set_sync_debug_mode("default")

    try:
        fit(tmp_path, 12, make_model(), callbacks=[NoSync()], accelerator="gpu", log_every_n_steps=4,
            precision="bf16-mixed", data={"images_on_device": True})  # fmt: skip
    finally:
        torch.cuda.set_sync_debug_mode("default")
