"""Checkpoints of the JAX source, in the layout of each of its versions, made of its keys alone."""

import numpy as np

from lightning_nsd.model.embeddings import sincos_positions

CONFIG = {
    "image_size": 8, "in_channels": 3, "sample_size": 3, "encoder_mode": "vit_set", "hdim": 12, "pool": "cls",
    "hidden_size": 16, "depth": 2, "num_heads": 4, "mlp_ratio": 4.0, "patch_size": 4, "context_channels": 12,
    "mode_conditioning": "film", "class_cond": False, "diffusion_steps": 50, "noise_schedule": "linear",
    "learn_sigma": False, "timestep_respacing": "", "use_kl": False, "predict_xstart": False,
    "rescale_timesteps": False, "rescale_learned_sigmas": False, "mode_context": "deterministic", "lr": 1e-3,
}  # fmt: skip


THIRD = {
    "sample_size": 4, "encoder_patch_size": 0, "dit_patch_size": 0, "dropout": 0.1, "encoder_depth": 2,
    "encoder_heads": 3, "encoder_dim_head": 4, "encoder_mlp_ratio": 2.0, "encoder_tokenize_mode": "stack",
    "encoder_use_mlp_head": False, "encoder_mlp_head_hidden_dim": 20, "input_dependent": False, "use_vae": False,
    "use_projection_head": False,
}  # fmt: skip
"""What the third version's configuration has beside the first's; its `sample_size` counts the query."""


def dense(n_in, n_out, bias=True):
    return {"kernel": (n_in, n_out)} | ({"bias": (n_out,)} if bias else {})


def norm(width):
    return {"scale": (width,), "bias": (width,)}


def attention(width, heads):
    projection = {"kernel": (width, heads, width // heads), "bias": (heads, width // heads)}
    out = {"kernel": (heads, width // heads, width), "bias": (width,)}
    return {"query": projection, "key": projection, "value": projection, "out": out}


def set_vit(config, version):
    """The set encoder's shapes; its sizes are fixed in the first two versions."""
    c, n, context = config["in_channels"], config["sample_size"], config["hdim"]
    p = config.get("encoder_patch_size") or config["patch_size"]
    tokens, images = (
        (config["image_size"] // p) ** 2,
        n if config.get("encoder_tokenize_mode", "stack") == "stack" else 1,
    )
    depth, inner = {1: (6, 768), 2: (3, 448)}.get(version) or (
        config["encoder_depth"], config["encoder_heads"] * config["encoder_dim_head"]
    )  # fmt: skip
    mlp = int(context * config.get("encoder_mlp_ratio", 1))
    layer = {
        "LayerNorm_0": norm(context), "LayerNorm_1": norm(context),
        "LSA_0": {
            "Dense_0": dense(context, 3 * inner, bias=False), "Dense_1": dense(inner, context), "temperature": ()
        },
        "FeedForward_0": {"Dense_0": dense(context, mlp), "Dense_1": dense(mlp, context)},
    }  # fmt: skip
    return {
        "cls_token": (1, 1, context), "pos_embedding": (1, tokens + 2, context),
        "to_patch_embedding": {"norm": norm(p * p * c * images), "proj": dense(p * p * c * images, context)},
        "mlp_norm": norm(context), **head(config, "mlp_head_ff", "mlp_dense"),
        "transformer": {f"layer_{i}": layer for i in range(depth)},
    }  # fmt: skip


def vit(config):
    """The image encoder's shapes, which ran in the third version alone."""
    context, heads, dim = config["hdim"], config["encoder_heads"], config["encoder_dim_head"]
    p, mlp = config["encoder_patch_size"] or config["patch_size"], int(context * config["encoder_mlp_ratio"])
    projection = {"kernel": (context, heads, dim), "bias": (heads, dim)}
    out = {"kernel": (heads, dim, context), "bias": (context,)}
    block = {
        "LayerNorm_0": norm(context), "LayerNorm_1": norm(context),
        "SelfAttention_0": {"query": projection, "key": projection, "value": projection, "out": out},
        "FeedForward_0": {"Dense_0": dense(context, mlp), "Dense_1": dense(mlp, context)},
    }  # fmt: skip
    return {
        "cls_token": (1, 1, context), "pos_embedding": (1, (config["image_size"] // p) ** 2 + 2, context),
        "to_patch_embedding": dense(p * p * config["in_channels"], context),
        "cls_norm": norm(context), **head(config, "mlp_head", "cls_dense"),
        "transformer": {f"TransformerBlock_{i}": block for i in range(config["encoder_depth"])},
    }  # fmt: skip


def head(config, mlp_name, dense_name):
    """One dense layer, or two."""
    context = config["hdim"]
    if not config.get("encoder_use_mlp_head"):
        return {dense_name: dense(context, context)}
    hidden = config["encoder_mlp_head_hidden_dim"]
    return {mlp_name: {"Dense_0": dense(context, hidden), "Dense_1": dense(hidden, context)}}


def shapes(config, version, joint, cond_norm):
    """The tree of parameter shapes of a configuration."""
    c, p = config["in_channels"], config.get("dit_patch_size") or config["patch_size"]
    tokens, context, width = (config["image_size"] // p) ** 2, config["hdim"], config["hidden_size"]
    cross = config["mode_conditioning"] == "lag"
    encoder = vit(config) if config["encoder_mode"] == "vit" else set_vit(config, version)
    if version == 3:
        encoder["to_time_embedding"] = dense(context, context)
    block = {
        "Dense_0": dense(width, 6 * width), "MultiHeadDotProductAttention_0": attention(width, config["num_heads"]),
        "MlpBlock_0": {"Dense_0": dense(width, 4 * width), "Dense_1": dense(4 * width, width)},
    }  # fmt: skip
    if cond_norm:
        block["context_scale"] = (width,)
    if cross:
        block |= {
            "Dense_1": dense(context, width),
            "MultiHeadDotProductAttention_1": attention(width, config["num_heads"]),
        }
    channels = c * (2 if config["learn_sigma"] else 1)
    dit = {
        "pos_embed": (1, tokens, width),
        "PatchEmbed_0": {"Conv_0": {"kernel": (p, p, c, width), "bias": (width,)}},
        "TimestepEmbedder_0": {"Dense_0": dense(256, width), "Dense_1": dense(width, width)},
        "FinalLayer_0": {"Dense_0": dense(width, 2 * width), "Dense_1": dense(width, p * p * channels)},
        **{f"DiTBlock_{i}": block for i in range(config["depth"])},
    } | ({} if cross else {"Dense_0": dense(context + (width if joint else 0), width)})
    tree = {"encoder": {"params": encoder}, "dit": {"params": dit}}
    if version == 3:
        tree["time_embed"] = {"params": {"Dense_0": dense(context // 4, context), "Dense_1": dense(context, context)}}
    if config["mode_context"] == "variational":
        tree["posterior"] = {"params": {"Dense_0": dense(context, context), "Dense_1": dense(context, 2 * context)}}
    return tree


def draw(tree, rng, scale=0.1):
    """Random arrays of a tree of shapes."""
    if isinstance(tree, dict):
        return {key: draw(branch, rng, scale) for key, branch in tree.items()}
    return (scale * rng.standard_normal(tree)).astype(np.float32)


def source_tree(seed=0, version=1, joint=False, cond_norm=False, shrunk=1.0, **changed):
    """A whole checkpoint: parameters, moving average, optax's Adam state, step and configuration.

    Args:
        version: 1 to 3, the source's.
        joint: t and the context enter the blocks by one layer.
        cond_norm: normalised in every block.
        shrunk: what weight decay left of the position table.
    """
    config = {**CONFIG, **(THIRD if version == 3 else {}), **changed}
    rng, layout = np.random.default_rng(seed), shapes(config, version, joint, cond_norm)
    second = draw(layout, rng, 0.01)
    adam = {"count": np.asarray(7), "mu": draw(layout, rng, 0.01), "nu": _map(np.square, second)}
    params, ema_params = draw(layout, rng), draw(layout, rng)
    for tree in (params, ema_params):
        dit = tree["dit"]["params"]
        _, tokens, width = dit["pos_embed"].shape
        dit["pos_embed"] = (shrunk * sincos_positions(width, round(tokens**0.5)))[None].astype(np.float32)
    return {
        "params": params, "ema_params": ema_params, "opt_state": [adam, {}], "step": np.asarray(7), "cfg": config,
    }  # fmt: skip


def _map(function, tree):
    if isinstance(tree, dict):
        return {key: _map(function, branch) for key, branch in tree.items()}
    return function(tree)
