"""From a config's `model` section to the model, its diffusion, sampler and optimiser."""

import inspect
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from flax import nnx

from jax_reference import model as networks
from jax_reference.diffusion.gaussian import GaussianDiffusion
from jax_reference.diffusion.sampler import DDIM, SAMPLERS, Sampler
from jax_reference.model.few_shot_denoiser import FewShotDenoiser
from jax_reference.training.draws import TimestepSampling
from jax_reference.training.lr_schedule import LRSchedule
from jax_reference.written_out.adamw import OptimizerSettings
from lightning_nsd.errors import UserError

DETERMINISTIC = {"class_path": "DeterministicContext"}
ADAMW = {"class_path": "AdamW"}
OPTIMIZERS = {"AdamW": {"lr", "betas", "eps", "weight_decay"}}
HOW_IT_COMPUTES = {"foreach", "fused", "capturable"}
"""Options of torch's optimisers that leave the numbers alone."""
OPTIMIZERS["MuonWithAdamW"] = OPTIMIZERS["AdamW"] | {"momentum"}
MUON_MOMENTUM = 0.95
NETWORKS: list[type] = [getattr(networks, name) for name in networks.__all__]


class Shape(NamedTuple):
    """Pixels along a side, and channels."""

    size: int
    channels: int


class Experiment(NamedTuple):
    """What a `model` section describes.

    Attributes:
        model: the network, freshly initialised.
        diffusion: the process, and what the network predicts.
        sampler: how images are drawn.
        optimizer: rates, decay and schedule; clipping and the last step are the trainer's to add.
        kl_weight: weight of a variational context's KL.
        context_dropout: probability of the null context.
        ema_decay: of the moving average.
        ema_warmup: let the average follow faster in the first steps.
        timestep_sampling: how training's timesteps are drawn.
    """

    model: FewShotDenoiser
    diffusion: GaussianDiffusion
    sampler: Sampler
    optimizer: OptimizerSettings
    kl_weight: float
    context_dropout: float
    ema_decay: float
    ema_warmup: bool
    timestep_sampling: TimestepSampling


def init_args(description: Mapping[str, Any] | None) -> dict[str, Any]:
    """The arguments of a `class_path`, `init_args` pair."""
    return dict((description or {}).get("init_args") or {})


def find(classes: Iterable[type], description: Mapping[str, Any]) -> Any:
    """The class that a `class_path` names, by its last part, with its `init_args` bound.

    Raises:
        UserError: there is no such class.
    """
    by_name = {of.__name__: of for of in classes}
    name = description["class_path"].rpartition(".")[2]
    if name not in by_name:
        raise UserError(f"{description['class_path']} has no counterpart here, where there are {', '.join(by_name)}.")
    return partial(by_name[name], **init_args(description))


def optimizer_settings(settings: Mapping[str, Any]) -> OptimizerSettings:
    """The optimiser of a `model` section.

    Raises:
        UserError: one without a counterpart here, or with a setting without one.
    """
    optimizer = settings.get("optimizer") or ADAMW
    kind = optimizer["class_path"].rpartition(".")[2]
    if kind not in OPTIMIZERS:
        raise UserError(f"{optimizer['class_path']}: the reference has {' and '.join(OPTIMIZERS)} alone.")
    own = ("encoder_lr", "denoiser_lr", "freeze_encoder_steps", "freeze_denoiser_steps")
    known = inspect.signature(OptimizerSettings).parameters
    of_optimizer: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in init_args(optimizer).items()
        if name in OPTIMIZERS[kind] or (value and name not in HOW_IT_COMPUTES)  # a run's own config names all, off too
    }
    if unknown := set(of_optimizer) - OPTIMIZERS[kind]:
        raise UserError(f"the reference's {kind} does not know {', '.join(sorted(unknown))}.")
    if kind == "MuonWithAdamW":
        of_optimizer.setdefault("momentum", MUON_MOMENTUM)
    return OptimizerSettings(
        **{name: value for name, value in of_optimizer.items() if name in known},
        **{name: settings[name] for name in own if name in settings},
        lr_schedule=LRSchedule(**(settings.get("lr_schedule") or {})),
    )


def build_diffusion(settings: Mapping[str, Any]) -> GaussianDiffusion:
    """The diffusion of a `model` section."""
    arguments = settings.get("diffusion") or {}
    return GaussianDiffusion(**arguments.get("init_args", arguments))


def build_network(
    settings: Mapping[str, Any], rngs: nnx.Rngs, drawn: Shape | None = None, seen: Shape | None = None
) -> FewShotDenoiser:
    """The network of a `model` section, freshly initialised.

    Args:
        drawn: of what it draws, where this is not images.
        seen: of what its encoder sees, where this is not what it draws.
    """
    encoder, spatial_context = settings.get("encoder"), settings.get("spatial_context")
    drawn = drawn or Shape(settings["image_size"], settings["channels"])
    of_seen = seen or drawn
    of_encoder = find(NETWORKS, encoder) if encoder else None
    return FewShotDenoiser(
        drawn.size,
        drawn.channels,
        build_diffusion(settings).out_channels(drawn.channels),
        settings["n_shot"],
        of_encoder and (lambda _size, _channels, n_shot, **more: of_encoder(*of_seen, n_shot, **more)),
        find(NETWORKS, settings.get("context") or DETERMINISTIC),
        find(NETWORKS, settings["denoiser"]),
        settings.get("context_dropout", 0.0),
        find(NETWORKS, spatial_context) if spatial_context else None,
        settings.get("leave_one_out", True),
        rngs=rngs,
    )


def build_model(
    settings: Mapping[str, Any],
    rngs: nnx.Rngs | None = None,
    drawn: Shape | None = None,
    seen: Shape | None = None,
) -> Experiment:
    """Everything that a `model` section describes.

    Args:
        settings: the section, with `image_size`, `channels` and `n_shot`, which the data decides.
        rngs: of the initial parameters.
        drawn: of what the network draws, where this is not images.
        seen: of what its encoder sees, where this is not what it draws.

    Raises:
        UserError: settings without a counterpart here.
    """
    diffusion = build_diffusion(settings)
    sampler = settings.get("sampler")
    return Experiment(
        build_network(settings, rngs or nnx.Rngs(0), drawn, seen),
        diffusion,
        find(SAMPLERS.values(), sampler)() if sampler else DDIM(min(50, diffusion.num_steps)),
        optimizer_settings(settings),
        settings.get("kl_weight", 1.0),
        settings.get("context_dropout", 0.0),
        settings.get("ema_decay", 0.9999),
        settings.get("ema_warmup", False),
        settings.get("timestep_sampling", "uniform"),
    )
