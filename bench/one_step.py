"""One training step of a shipped config, outside of a Trainer: made, counted and timed."""

import copy
import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
import yaml
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import lightning_nsd.data
from lightning_nsd.checkpoints.loading import build_model
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.settings.config_files import find_config
from lightning_nsd.training.ema import update_ema

CPU = torch.device("cpu")
Precision = Literal["float32", "tf32", "bf16"]
OF_THE_CPU: tuple[Precision, ...] = ("float32", "bf16")


def read_data(name: str, root: str | None = None) -> EpisodeDataModule:
    """The data of a shipped config, or of a file; nothing of it is read yet.

    Args:
        name: of the config.
        root: where the data is, instead of where the config says.
    """
    data = yaml.safe_load(Path(find_config(name)).read_text(encoding="utf-8"))["data"]
    own = {} if root is None else {"root": root}
    made: EpisodeDataModule = getattr(lightning_nsd.data, data["class_path"])(**{**data["init_args"], **own})
    return made


def load_config(name: str) -> FewShotDiffusion:
    """The model of a config, with fresh weights."""
    config, data = yaml.safe_load(Path(find_config(name)).read_text(encoding="utf-8")), read_data(name)
    shape = {"image_size": data.image_size, "channels": data.channels, "n_shot": data.n_shot}
    return build_model({**config["model"], **shape}, name)


def use_precision(precision: Precision, device: torch.device) -> None:
    """What torch does with float32 products from here on: all their bits, or TensorFloat-32 where the card has it."""
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "float32" and device.type == "cuda"


def in_precision(precision: Precision, device: torch.device = CPU) -> torch.autocast:
    """Where products are in bfloat16, for that precision; else as they are."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def matrix_product(size: int, precision: Precision, device: torch.device = CPU) -> Callable[[], Tensor]:
    """A function whose 2·size³ operations in a precision give the peak that others are set against."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return lambda: a @ b


def make_step(
    module: FewShotDiffusion, episodes: int, device: torch.device = CPU, precision: Precision = "float32"
) -> Callable[[], Tensor]:
    """A function that trains one step: forward, backward, AdamW, EMA."""
    module.to(device)
    n, shape = module.n_shot + 1, (module.channels, module.image_size, module.image_size)
    images = (torch.rand(episodes, n, *shape) * 2 - 1).to(device)
    t, noise = torch.randint(1000, (episodes,)).to(device), torch.randn(episodes * n, *shape).to(device)
    fused = True if device.type == "cuda" else None
    optimizer = torch.optim.AdamW(module.model.parameters(), lr=1e-4, weight_decay=0.0, fused=fused)
    ema = copy.deepcopy(module.model)

    def step() -> Tensor:
        with in_precision(precision, device):
            loss = module.loss_terms(images, t, noise)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_ema(ema, module.model, 0.9999)
        return loss

    return step


def count_flop(step: Callable[[], Tensor]) -> int:
    """Floating-point operations of one step; attention unfused, because the counter does not see into the fused one."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def seconds(work: Callable[[], object], device: torch.device = CPU) -> float:
    """How long one call takes until the device has done it."""
    from lightning_nsd.accelerators.device import wait_for  # here: an earlier version makes steps without having it

    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start


def peak_memory(device: torch.device = CPU) -> float:
    """MiB that a card's tensors took at most; on a processor, what all of this process took, libraries included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts what the parent process took, too
        found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"))
        if found:
            return int(found[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS
