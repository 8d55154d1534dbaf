"""Optimisers that are the same in torch and in optax, for k steps of both."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]
import torch
from torch import nn

from parity_tests.pairing.muon import MuonAndAdamW, optax_muon

Schedule = Callable[[int], float]


def clip_by_global_norm(norm: float) -> optax.GradientTransformation:
    """Clipping as torch does it, which adds 1e-6 to the norm that it divides by; optax's own does not."""

    def clip(updates: Any, _: Any = None) -> Any:
        factor = jnp.minimum(1.0, norm / (optax.global_norm(updates) + 1e-6))
        return jax.tree.map(lambda update: factor * update, updates)

    return optax.stateless(clip)


class OptimizerPair(NamedTuple):
    """The same rule twice.

    Attributes:
        name: for the report.
        torch: makes torch's from parameters.
        jax: optax's.
        clip: global norm to which gradients are clipped; None for none.
        schedule: factor of the rate at a step, from 0; None for none.
    """

    name: str
    torch: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    jax: Callable[[Any], optax.GradientTransformation]
    clip: float | None = None
    schedule: Schedule | None = None

    def with_clipping(self, norm: float) -> "OptimizerPair":
        """Gradients clipped to a global norm first."""
        return self._replace(name=f"{self.name}, clipped to {norm:g}", clip=norm)

    def with_schedule(self, schedule: Schedule) -> "OptimizerPair":
        """The rate times a factor of the step."""
        return self._replace(name=f"{self.name}, scheduled", schedule=schedule)


def adam(lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> OptimizerPair:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980)."""
    return OptimizerPair(
        "Adam",
        lambda parameters: torch.optim.Adam(parameters, lr, betas, eps),
        lambda rate: optax.adam(rate(lr), *betas, eps),
    )


def adamw(
    lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01
) -> OptimizerPair:
    """AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101); both decay by rate times weight_decay."""
    return OptimizerPair(
        "AdamW",
        lambda parameters: torch.optim.AdamW(parameters, lr, betas, eps, weight_decay),
        lambda rate: optax.adamw(rate(lr), *betas, eps, weight_decay=weight_decay),
    )


def sgd(lr: float = 1e-2, momentum: float = 0.9, nesterov: bool = False) -> OptimizerPair:
    """SGD with momentum."""
    return OptimizerPair(
        "SGD",
        lambda parameters: torch.optim.SGD(parameters, lr, momentum, nesterov=nesterov),
        lambda rate: optax.sgd(rate(lr), momentum, nesterov),
    )


def muon(lr: float = 1e-2, momentum: float = 0.95, nesterov: bool = True, weight_decay: float = 0.1) -> OptimizerPair:
    """Muon for matrices, Adam for everything else; see `muon.py` for what the frameworks' own do otherwise.

    A matrix is one on both sides: q, k and v in one on one side and in three on the other are orthogonalised otherwise.
    """
    return OptimizerPair(
        "Muon",
        lambda parameters: MuonAndAdamW(
            parameters, lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
        ),
        lambda rate: optax_muon(rate, lr, momentum, nesterov, weight_decay),
    )
