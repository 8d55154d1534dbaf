"""What a configuration of the JAX source, and the shapes of its parameters, say in this package's settings.

The source changed in December 2025, and its checkpoints say in which of three versions they were written: the second
has another set encoder than the first, the third says in its configuration which (`encoder_heads`), fills sets up to
`sample_size` images with one that is zero, and tells the encoder the time.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lightning_nsd.convert.source_keys import (
    CONSTANT,
    DENOISER,
    ENCODER,
    TIME_EMBEDDING,
    Arrays,
    Entry,
    context_entries,
    denoiser_entries,
    set_vit_entries,
    vit_entries,
)
from lightning_nsd.errors import UserError
from lightning_nsd.model.embeddings import sincos_positions

Config = Mapping[str, Any]

HEADS_BY_WIDTH = {768: (12, 64), 448: (8, 56)}
"""Width of the set encoder's attention → its heads and their width, which the first two versions fixed."""
UNSUPPORTED = ("class_cond", "timestep_respacing", "use_kl", "rescale_timesteps", "use_vae", "use_projection_head")
CONDITIONINGS = {"film": "film", "lag": "cross_attention"}
CONTEXTS = {"deterministic": "DeterministicContext", "variational": "VariationalContext"}
VIT_POOLS = {"cls": "cls", "mean": "mean", "none": "mean"}  # it takes the mean of tokens that are left
SET_VIT_POOLS = {"cls": "cls", "mean": "mean"}
POSITION_ROUNDING = 1e-6
TOKENS = {"stack": "stacked", "per_sample_mean": "mean"}


def settings_of(config: Config, params: Arrays, source: str) -> dict[str, Any]:
    """The arguments of FewShotDiffusion: sizes from the parameters' shapes, the rest from the configuration.

    Args:
        source: named in errors.

    Raises:
        UserError: a configuration that has no counterpart, or a parameter that is needed and missing.
    """
    refused = [name for name in UNSUPPORTED if config.get(name)]
    if refused:
        raise UserError(f"{source}: {refused[0]} = {config[refused[0]]!r} has no counterpart here.")
    is_third = "encoder_heads" in config
    if is_third and config.get("mode_conditioning") == "lag":
        raise UserError(
            f"{source}: mode_conditioning is lag. In this version of the source its cross-attention sees tokens of the "
            "very image that is to be denoised, or of one chosen by its place: a model that was shown the answer. It "
            "is not reproduced; train with conditioning cross_attention anew."
        )
    try:
        sample_size, image_size, channels = (int(config[key]) for key in ("sample_size", "image_size", "in_channels"))
        conditioning, context = CONDITIONINGS[config["mode_conditioning"]], CONTEXTS[config["mode_context"]]
        num_steps, schedule = int(config["diffusion_steps"]), config["noise_schedule"]
        heads = (int(config["encoder_heads"]), int(config["encoder_dim_head"])) if is_third else None
    except KeyError as error:
        raise UserError(f"{source}: its configuration has no (or an unknown) {error}.") from error
    n_shot = sample_size - 1 if is_third else sample_size
    if n_shot < 1:
        raise UserError(f"{source}: sample_size is {sample_size}: no image is left to condition on.")
    encoder = _encoder(config, params, source, channels, sample_size, heads)
    return {
        "image_size": image_size,
        "channels": channels,
        "n_shot": n_shot,
        "encoder": encoder,
        "context": {"class_path": f"lightning_nsd.model.context.{context}"},
        "denoiser": _denoiser(params, source, conditioning, encoder["init_args"]["context_dim"], config),
        "leave_one_out": not config.get("input_dependent", False),
        "diffusion": {
            "num_steps": num_steps,
            "schedule": schedule,
            "prediction": "x_0" if config.get("predict_xstart") else "eps",
            "variance": "learned" if config.get("learn_sigma") else "fixed_large",
        },
    }


def _encoder(
    config: Config, params: Arrays, source: str, channels: int, sample_size: int, heads: tuple[int, int] | None
) -> dict[str, Any]:
    """The encoder's class and arguments; `heads` and their width are stated by the third version alone."""
    is_third = heads is not None
    mode = config.get("encoder_mode", "vit_set")
    if mode not in ("vit_set", "vit") or (mode == "vit" and not is_third):
        raise UserError(f"{source}: encoder_mode is {mode!r}; only vit_set ever ran in this version of the source.")
    is_vit = mode == "vit"
    pools, pool = VIT_POOLS if is_vit else SET_VIT_POOLS, config.get("pool", "cls")
    if pool not in pools:
        raise UserError(
            f"{source}: pool is {pool!r}, which has no counterpart here ({', '.join(pools)} of {mode} have)."
        )
    tokens = config.get("encoder_tokenize_mode", "stack")
    if tokens not in TOKENS:
        raise UserError(f"{source}: encoder_tokenize_mode is {tokens!r}; {' and '.join(TOKENS)} are known.")
    projection = "to_patch_embedding/kernel" if is_vit else "to_patch_embedding/proj/kernel"
    patch_values, hidden_size = _shape(params, source, f"{ENCODER}{projection}", 2)
    images = 1 if is_vit or tokens != "stack" else sample_size
    layer = f"{ENCODER}transformer/{'TransformerBlock_' if is_vit else 'layer_'}"
    arguments: dict[str, Any] = {
        "patch_size": math.isqrt(patch_values // (channels * images)),
        "context_dim": hidden_size,
        "depth": _count(params, layer),
        "mlp_dim": _shape(params, source, f"{layer}0/FeedForward_0/Dense_0/kernel", 2)[1],
        "pool": pools[pool],
    }
    if is_vit:
        _, num_heads, head_dim = _shape(params, source, f"{layer}0/SelfAttention_0/query/kernel", 3)
        arguments |= {"interleaved_positions": True, "qkv_bias": True}
    else:
        width = _shape(params, source, f"{layer}0/LSA_0/Dense_0/kernel", 2)[1] // 3
        num_heads, head_dim = heads or HEADS_BY_WIDTH.get(width, (0, 0))
        if num_heads * head_dim != width:
            raise UserError(
                f"{source}: the set encoder's attention is {width} wide, which no version of the source has."
            )
        arguments["tokens"] = TOKENS[tokens]
    arguments |= {"num_heads": num_heads, "head_dim": head_dim}
    if is_third:
        arguments |= {"slots": sample_size, "dropout": config.get("dropout", 0.0)}
    if _knows_time(params):
        arguments |= {"time_conditioned": True, "time_embedding_dim": hidden_size}
    if _has_mlp_head(params):
        head = f"{ENCODER}{'mlp_head' if is_vit else 'mlp_head_ff'}/Dense_0/kernel"
        arguments["mlp_head_dim"] = _shape(params, source, head, 2)[1]
    name = "vit.ViT" if is_vit else "set_vit.SetViT"
    return {"class_path": f"lightning_nsd.model.{name}", "init_args": arguments}


def _denoiser(params: Arrays, source: str, conditioning: str, context_dim: int, config: Config) -> dict[str, Any]:
    patch_size, _, _, hidden_size = _shape(params, source, f"{DENOISER}PatchEmbed_0/Conv_0/kernel", 4)
    query = f"{DENOISER}DiTBlock_0/MultiHeadDotProductAttention_0/query/kernel"
    arguments: dict[str, Any] = {
        "conditioning": conditioning,
        "patch_size": patch_size,
        "hidden_size": hidden_size,
        "depth": _count(params, f"{DENOISER}DiTBlock_"),
        "num_heads": _shape(params, source, query, 3)[1],
        "mlp_ratio": _shape(params, source, f"{DENOISER}DiTBlock_0/MlpBlock_0/Dense_0/kernel", 2)[1] / hidden_size,
        "dropout": config.get("dropout", 0.0),
        "stored_position": _has_own_positions(params),
    }
    if conditioning == "film":
        width = _shape(params, source, f"{DENOISER}Dense_0/kernel", 2)[0]
        arguments |= {
            "film": "joint" if width == hidden_size + context_dim else "sum",
            "cond_norm": _has_cond_norm(params),
        }
    return {"class_path": "lightning_nsd.model.dit.DiT", "init_args": arguments}


def entries_of(settings: Mapping[str, Any], params: Arrays) -> list[Entry]:
    """The key table of a checkpoint's architecture."""
    encoder, denoiser = settings["encoder"], settings["denoiser"]["init_args"]
    depth, mlp_head = encoder["init_args"]["depth"], _has_mlp_head(params)
    if encoder["class_path"].endswith(".ViT"):
        entries = vit_entries(depth, mlp_head)
    else:
        entries = set_vit_entries(depth, mlp_head, _knows_time(params))
    entries += denoiser_entries(
        denoiser["depth"],
        denoiser["conditioning"] == "cross_attention",
        denoiser.get("cond_norm", False),
        denoiser["stored_position"],
    )
    variational = settings["context"]["class_path"].endswith(".VariationalContext")
    return entries + (context_entries() if variational else [])


def _knows_time(params: Arrays) -> bool:
    return any(key.startswith(TIME_EMBEDDING) for key in params)


def _has_mlp_head(params: Arrays) -> bool:
    return any(key.startswith((f"{ENCODER}mlp_head/", f"{ENCODER}mlp_head_ff/")) for key in params)


def _has_cond_norm(params: Arrays) -> bool:
    return f"{DENOISER}DiTBlock_0/context_scale" in params


def _has_own_positions(params: Arrays) -> bool:
    """Whether the stored table is another than the computed one, which weight decay makes of it."""
    stored = params.get(CONSTANT)
    if stored is None:
        return False
    grid = math.isqrt(stored.shape[-2]) if stored.ndim == 3 else 0
    if stored.shape[-2:] != (grid**2, stored.shape[-1]) or stored.shape[-1] % 4:
        return True
    return not np.allclose(stored, sincos_positions(stored.shape[-1], grid), rtol=0, atol=POSITION_ROUNDING)


def _shape(params: Arrays, source: str, key: str, axes: int) -> tuple[int, ...]:
    if key not in params or params[key].ndim != axes:
        found = "is missing" if key not in params else f"has shape {params[key].shape}"
        raise UserError(f"{source}: the parameter {key} {found}; an array of {axes} axes was expected.")
    return params[key].shape


def _count(params: Arrays, prefix: str) -> int:
    """How many numbered branches start with a prefix."""
    return len({key.removeprefix(prefix).split("/")[0] for key in params if key.startswith(prefix)})
