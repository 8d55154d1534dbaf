"""All rungs for one configuration at its real size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from jax_reference.config import Config
from lightning_nsd.checkpoints.loading import load_checkpoint
from parity_tests.check import RUNGS, Check
from parity_tests.pair import Pair
from parity_tests.rungs import loss, metric, model, module, op, sampler, schedule, step, truth
from parity_tests.tolerances import Dtype, LowPrecision


@dataclass(frozen=True)
class Options:
    """How much is computed.

    Attributes:
        rungs: numbers of the rungs.
        dtype: of the model.
        precision: a low one that rung 2 is run in, on a pair in float64.
        backend: where torch computes, `torch` or `xla`.
        ckpt: a Lightning checkpoint whose weights are used; random ones where None.
        batch: episodes.
        steps: optimiser steps of rung 5.
        sampler_steps: steps of rung 6's trajectories.
    """

    rungs: Sequence[int] = tuple(range(len(RUNGS)))
    dtype: Dtype = "float64"
    precision: LowPrecision | None = None
    backend: str = "torch"
    ckpt: str | None = None
    batch: int = 1
    steps: int = 3
    sampler_steps: int = 5


class Ladder:
    """The checks of one config, rung by rung. The pair is built when it is first needed."""

    def __init__(self, config: Config, options: Options) -> None:
        self.config = config
        self.options = options
        self._pair: Pair | None = None

    @property
    def pair(self) -> Pair:
        """The config's model in both frameworks."""
        if self._pair is None:
            state = None if self.options.ckpt is None else load_checkpoint(self.options.ckpt).model.state_dict()
            options = self.options
            self._pair = Pair(self.config.model, options.dtype, backend=options.backend, state=state)
        return self._pair

    def rung(self, number: int) -> Iterator[Check]:
        """The checks of one rung."""
        rungs: dict[str, Callable[[], Iterator[Check]]] = {
            "schedule": self._schedule,
            "op": lambda: op.summary(self.options.dtype),
            "module": self._module,
            "model": lambda: model.check(self.pair, self.pair.inputs(self.options.batch)),
            "loss": self._loss,
            "sampler": self._sampler,
            "step": self._step,
            "metric": self._metric,
            "truth": self._truth,
        }
        return rungs[RUNGS[number]]()

    @property
    def order(self) -> list[int]:
        """The chosen rungs as they are run: the optimiser steps last, for they change the weights."""
        return sorted(self.options.rungs, key=lambda number: (RUNGS[number] == "step", number))

    def _schedule(self) -> Iterator[Check]:
        diffusion = self.pair.ours.diffusion
        yield schedule.summary(diffusion.schedule, diffusion.num_steps, self.options.dtype)

    def _module(self) -> Iterator[Check]:
        checks = module.check(self.pair, self.pair.inputs(self.options.batch), self.options.precision)
        return module.summary(checks)

    def _loss(self) -> Iterator[Check]:
        inputs = self.pair.inputs(self.options.batch)
        yield from loss.check(self.pair, inputs)
        yield from loss.bits(self.pair, inputs)

    def _step(self) -> Iterator[Check]:
        return step.check(self.pair, self.options.steps, self.config.gradient_clip, self.options.batch)

    def _sampler(self) -> Iterator[Check]:
        own = self.pair.ours.sampler
        guidance = {"guidance": own.guidance, "guidance_interval": own.guidance_interval}
        steps = min(self.options.sampler_steps, self.pair.ours.diffusion.num_steps)
        with torch.no_grad():
            for name in sampler.SAMPLERS:
                yield from sampler.check(self.pair, name, 1, self.options.batch, num_steps=steps, **guidance)
            if own.ilvr_factor is not None:
                of_ilvr = {"ilvr_factor": own.ilvr_factor, "ilvr_until": own.ilvr_until}
                for name in sampler.WITH_ILVR:
                    yield from sampler.check(self.pair, name, 1, self.options.batch, num_steps=steps, **of_ilvr)

    def _metric(self) -> Iterator[Check]:
        size, channels = self.config.model["image_size"], self.config.model["channels"]
        return metric.check(self.options.dtype, size, channels, self.options.backend)

    def _truth(self) -> Iterator[Check]:
        diffusion = self.pair.ours.diffusion
        return truth.check(diffusion.schedule, diffusion.prediction, self.options.dtype)
