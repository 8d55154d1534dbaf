"""What XLA did between two logging steps: graphs compiled and run, copies to the host, operations that fell back."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from lightning_nsd.accelerators.device import is_recorded, read_counters, wait_for
from lightning_nsd.accelerators.xla.device import Counters
from lightning_nsd.errors import UserError
from lightning_nsd.settings.numbers import Steps, bounded

LOG_PREFIX = "xla"


@bounded("TraceReport")
class TraceReport(Callback):
    """Logs `xla/…` at every logging step and warns when a graph is compiled after warm-up.

    `xla/graphs_compiled`, `xla/graphs_per_step`, `xla/transfers_per_step`, `xla/compile_seconds` and
    `xla/fallbacks` are of the steps since the last logging step; evaluation and checkpoints between are left out.
    A step should run exactly one graph and copy nothing to the host.

    Args:
        warm_up_steps: optimiser steps in which compiling is expected.
    """

    def __init__(self, warm_up_steps: Steps = 5) -> None:
        self.warm_up_steps = warm_up_steps
        self._before: Counters | None = None
        self._totals: dict[str, float] = {}
        self._fallbacks: dict[str, int] = {}
        self._steps = 0
        self._last_step = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not is_recorded(pl_module.device):
            raise UserError("TraceReport counts what XLA does, but this run is not on an XLA device.")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._last_step = trainer.global_step  # only now are a checkpoint's steps counted

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self._before = read_counters(pl_module.device)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if self._before is None:
            return
        logging = trainer.global_step % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        if logging:
            wait_for(pl_module.device)  # the loss is read here anyway, and XLA counts an execution when it ends
        now, before = read_counters(pl_module.device), self._before
        compiled = now.compiled - before.compiled
        if compiled and trainer.global_step > self._last_step + self.warm_up_steps:
            rank_zero_warn(
                f"XLA compiled {compiled} new graph(s) at step {trainer.global_step}, after warm-up "
                f"({now.compile_seconds - before.compile_seconds:.1f} s). A shape, a Python number or a branch on a "
                "tensor's value changed between steps."
            )
        self._add("graphs_compiled", compiled)
        self._add("graphs", now.executed - before.executed)
        self._add("transfers", now.to_host - before.to_host)
        self._add("compile_seconds", now.compile_seconds - before.compile_seconds)
        for name, count in now.fallbacks.items():
            if count > before.fallbacks.get(name, 0):
                self._fallbacks[name] = self._fallbacks.get(name, 0) + count - before.fallbacks.get(name, 0)
        self._steps += 1
        if logging:
            self._report(trainer)

    def _add(self, name: str, value: float) -> None:
        self._totals[name] = self._totals.get(name, 0) + value

    def _report(self, trainer: Trainer) -> None:
        steps, totals = self._steps, self._totals
        figures = {
            "graphs_compiled": totals["graphs_compiled"],
            "graphs_per_step": totals["graphs"] / steps,
            "transfers_per_step": totals["transfers"] / steps,
            "compile_seconds": totals["compile_seconds"],
            "fallbacks": float(sum(self._fallbacks.values())),
        }
        for logger in trainer.loggers:
            logger.log_metrics({f"{LOG_PREFIX}/{name}": v for name, v in figures.items()}, step=trainer.global_step)
        named = ", ".join(f"{name} {count}" for name, count in sorted(self._fallbacks.items())) or "none"
        rank_zero_info(
            f"XLA, step {trainer.global_step}: {figures['graphs_compiled']:.0f} graphs compiled in "
            f"{figures['compile_seconds']:.1f} s, {figures['graphs_per_step']:.2f} graphs and "
            f"{figures['transfers_per_step']:.2f} transfers to the host per step, on the host: {named}"
        )
        if figures["transfers_per_step"] >= 1:
            rank_zero_warn(
                f"Every step up to {trainer.global_step} copied from the device to the host "
                f"({figures['transfers_per_step']:.1f} times a step) and waited for it. Something reads a tensor's "
                "value (.item(), float(), print, a Python branch)."
            )
        self._totals, self._fallbacks, self._steps = {}, {}, 0
