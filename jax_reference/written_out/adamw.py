"""AdamW, or Muon with it, with parameter groups, frozen parts and clipping, in the order of Lightning and torch."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]

from jax_reference.training.groups import matrix_groups, parameter_groups
from jax_reference.training.lr_schedule import LRSchedule
from jax_reference.written_out.muon import muon_direction


@dataclass(frozen=True)
class OptimizerSettings:
    """What a config says about the optimiser.

    Attributes:
        lr: rate of a group without a rate of its own.
        betas: decays of the first and the second moment.
        eps: added to the root of the second moment.
        weight_decay: decoupled, times the rate.
        momentum: of hidden matrices, which Muon trains then; None leaves them to AdamW.
        encoder_lr: rate of encoder and contexts.
        denoiser_lr: rate of the denoiser.
        lr_schedule: factor of both rates over the steps.
        total_steps: where annealing ends.
        gradient_clip: largest norm of all gradients together; None does not clip.
        freeze_encoder_steps: steps before the encoder is trained.
        freeze_denoiser_steps: steps before the denoiser is trained.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 1e-2
    momentum: float | None = None
    encoder_lr: float | None = None
    denoiser_lr: float | None = None
    lr_schedule: LRSchedule = field(default_factory=LRSchedule)
    total_steps: float = float("inf")
    gradient_clip: float | None = None
    freeze_encoder_steps: int = 0
    freeze_denoiser_steps: int = 0


class CountState(NamedTuple):
    """Optimiser steps already taken, and the state of what is inside."""

    steps: jax.Array
    inner: Any


def clip_by_global_norm(max_norm: float) -> optax.GradientTransformation:
    """g · min(1, max_norm / (‖g‖ + 1e-6)), the norm over all parameters (torch's `clip_grad_norm_`)."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        factor = jnp.minimum(1.0, max_norm / (optax.tree.norm(updates) + 1e-6))
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def frozen_until(steps: int, inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """No update, and no change of `inner`'s state, in the first `steps` steps."""

    def init(params: Any) -> CountState:
        return CountState(jnp.zeros((), jnp.int32), inner.init(params))

    def update(updates: Any, state: CountState, params: Any = None) -> tuple[Any, CountState]:
        moved, following = inner.update(updates, state.inner, params)
        frozen = state.steps < steps
        kept = jax.tree.map(lambda old, new: jnp.where(frozen, old, new), state.inner, following)
        moved = jax.tree.map(lambda u: jnp.where(frozen, jnp.zeros_like(u), u), moved)
        return moved, CountState(state.steps + 1, kept)

    return optax.GradientTransformation(init, update)


def is_trained(params: Any) -> Any:
    """False for what has no gradient, which torch's optimisers leave as it is."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key != "stored_position", params)


def adamw(settings: OptimizerSettings) -> optax.GradientTransformation:
    """Gradients of frozen parts dropped, then clipping, then AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101).

    p ← p − lr · (m̂ / (√v̂ + eps) + weight_decay · p), with eps outside the root.
    """
    frozen = {"encoder": settings.freeze_encoder_steps, "denoiser": settings.freeze_denoiser_steps}
    own = {"encoder": settings.encoder_lr, "denoiser": settings.denoiser_lr}

    def group(name: str) -> optax.GradientTransformation:
        chosen = own[name]
        rate = settings.lr if chosen is None else chosen
        direction = optax.chain(
            by_matrix(optax.scale_by_adam(*settings.betas, eps=settings.eps, eps_root=0.0)),
            optax.add_decayed_weights(settings.weight_decay, mask=is_trained),
        )
        return optax.chain(
            frozen_until(frozen[name], direction),
            optax.scale_by_learning_rate(
                lambda step: rate * settings.lr_schedule.factor(step, settings.total_steps),
            ),
        )

    def dropped(name: str) -> optax.GradientTransformation:
        return frozen_until(frozen[name], optax.identity())

    def by_matrix(adam: optax.GradientTransformation) -> optax.GradientTransformation:
        if settings.momentum is None:
            return adam
        return optax.partition({True: muon_direction(settings.momentum), False: adam}, uses_muon)

    def label(params: Any, groups: list[dict[str, Any]], of: str) -> Any:
        labels = {path: group[of] for group in groups for path in group["params"]}
        return jax.tree_util.tree_map_with_path(lambda path, _: labels[path], params)

    def group_names(params: Any) -> Any:
        return label(params, parameter_groups(params, settings.encoder_lr, settings.denoiser_lr), "part")

    def uses_muon(params: Any) -> Any:
        return label(params, matrix_groups(params, settings.encoder_lr, settings.denoiser_lr), "use_muon")

    names = ("encoder", "denoiser")
    clip = clip_by_global_norm(settings.gradient_clip) if settings.gradient_clip else optax.identity()  # 0: none, too
    return optax.chain(
        optax.partition({name: dropped(name) for name in names}, group_names),
        clip,
        optax.partition({name: group(name) for name in names}, group_names),
    )
