"""A training step is one graph; nothing is compiled or copied between logging steps."""

from functools import partial

import pytest
import torch
import torch_xla.core.xla_model
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger

from lightning_nsd.accelerators.trace_report import TraceReport
from lightning_nsd.accelerators.xla.device import read_counters, wait_for_devices
from lightning_nsd.accelerators.xla.strategy import SingleXLA
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.model.context import VariationalContext
from lightning_nsd.model.guidance import guided_network
from lightning_nsd.model.spatial_context import SpatialContext
from lightning_nsd.model.unet import UNet
from lightning_nsd.model.unet_encoder import UNetEncoder
from lightning_nsd.training.lr_schedule import LRSchedule
from parity_tests.campaign import in_campaign
from tests.conftest import make_model, randomized, tiny_dit, tiny_set_vit
from tests.training.conftest import run

LOG_EVERY = 20
tiny_unet = partial(UNet, model_channels=4, channel_multipliers=(1, 2), num_res_blocks=1, attention_resolutions=(4,),
                    num_heads=2)  # fmt: skip
tiny_unet_encoder = partial(UNetEncoder, context_dim=8, model_channels=4, channel_multipliers=(1, 2), pool="flatten")


class Counts(Callback):
    """XLA's counters after every batch, once the device has run what was sent to it."""

    def __init__(self):
        self.after = []

    def on_train_batch_end(self, *_):
        torch_xla.core.xla_model.wait_device_ops()
        self.after.append(read_counters())


VARIANTS = {
    "unet": {"encoder": tiny_unet_encoder, "denoiser": tiny_unet},
    "variational": {"context": VariationalContext},
    "cross-attention": {"encoder": partial(tiny_set_vit, pool="none"),
                        "denoiser": partial(tiny_dit, conditioning="cross_attention")},
    "learned variance": {"diffusion": GaussianDiffusion(50, variance="learned")},
    "dropout": {"denoiser": partial(tiny_unet, dropout=0.2), "encoder": tiny_unet_encoder, "context_dropout": 0.2,
                "spatial_context": partial(SpatialContext, model_channels=4, num_res_blocks=1)},
}  # fmt: skip


def trained(tmp_path, steps=45, accumulate=1, callbacks=(), **model):
    counts = Counts()
    settings = {"ema_decay": 0.9, "ema_warmup": True, "lr_schedule": LRSchedule(warmup_steps=10)}
    module = make_model(**{**settings, **model})
    run(
        tmp_path, steps, module, callbacks=[counts, *callbacks], strategy=SingleXLA(), accelerator="auto",
        gradient_clip_val=1.0, accumulate_grad_batches=accumulate, logger=CSVLogger(tmp_path),
        log_every_n_steps=LOG_EVERY, data={"episodes_per_epoch": 4000},
    )  # fmt: skip
    return counts.after


def between(after, first, last):
    a, b = after[first], after[last]
    return b.compiled - a.compiled, b.executed - a.executed, b.to_host - a.to_host


@pytest.mark.parametrize("name", in_campaign(VARIANTS, ["unet", "variational", "learned variance"]))
def test_a_step_is_one_graph(tmp_path, name):
    after = trained(tmp_path, **VARIANTS[name])
    assert after[-1].compiled == after[5].compiled
    assert between(after, 5, 18) == (0, 13, 0)
    assert between(after, 20, 38) == (0, 18, 0)
    assert set(after[-1].fallbacks) <= {"aten::_local_scalar_dense"}


def test_with_accumulation_a_batch_is_at_most_one_graph_and_nothing_is_compiled(tmp_path):
    after = trained(tmp_path, steps=18, accumulate=2)
    compiled, executed, to_host = between(after, 11, 35)
    assert (compiled, to_host) == (0, 0)
    assert executed <= 24


def test_the_report_of_a_callback_that_reads_every_step_shows_and_warns(tmp_path):
    class Curious(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, *_):
            outputs["loss"].item()

    class Reported(TraceReport):
        """Keeps the order: the counters are read after the curious callback."""

    with pytest.warns(UserWarning, match=r"Every step up to 20 copied .*\.item\(\)"):
        trained(tmp_path, steps=20, callbacks=[Curious(), Reported()])


def test_a_graph_compiled_after_warm_up_is_named_by_its_step(tmp_path):
    class NewShape(Callback):
        def on_train_batch_start(self, trainer, pl_module, *_):
            if trainer.global_step == 9:
                torch.zeros(17, 3, device=pl_module.device).add(1).cpu()

    with pytest.warns(UserWarning, match=r"compiled 1 new graph\(s\) at step 10, after warm-up"):
        trained(tmp_path, steps=20, callbacks=[TraceReport(), NewShape()])


def test_the_report_is_logged(tmp_path):
    trained(tmp_path, steps=40, callbacks=[TraceReport()])
    text = next(tmp_path.glob("lightning_logs/version_*/metrics.csv")).read_text()
    head, *rows = (line.split(",") for line in text.splitlines())
    per_step = [row[head.index("xla/graphs_per_step")] for row in rows if row[head.index("xla/graphs_per_step")]]
    assert len(per_step) == 2
    assert [float(figure) for figure in per_step] == [pytest.approx(1.0, abs=0.11), 1.0]


def no_noise(step):
    raise AssertionError(f"step {step} is deterministic and asks for no noise")


@pytest.mark.parametrize("interval", [None, [30, 60]], ids=["all timesteps", "some timesteps"])
def test_sampling_compiles_its_step_once_and_runs_it_fifty_times(interval, randn):
    module = randomized(make_model(diffusion=GaussianDiffusion(100), context_dropout=0.1))
    support, x_T = randn(2, 3, 3, 8, 8).float(), randn(8, 3, 8, 8, seed=1).float()
    sampler = DDIM(50, guidance=1.5, guidance_interval=interval)

    def draw(device):
        module.to(device)
        network = guided_network(module.model, support.to(device), 4, sampler.guidance, sampler.guidance_interval)
        steps = []

        def after_step():
            wait_for_devices()  # an execution is counted when it ends
            steps.append(read_counters())

        for x in sampler.trajectory(module.diffusion, network, x_T.to(device), no_noise):
            last = x
            after_step()
        return last.cpu(), steps

    with torch.no_grad():
        eager, _ = draw(torch.device("cpu"))
        drawn, steps = draw(torch.device("xla"))
    assert steps[-1].compiled == steps[1].compiled
    assert steps[-1].executed - steps[0].executed == 49
    torch.testing.assert_close(drawn, eager, rtol=1e-5, atol=1e-5)
