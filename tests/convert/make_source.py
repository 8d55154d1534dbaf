"""Checkpoints of the JAX source, made of its key layout alone."""

import numpy as np

CONFIG = {
    "image_size": 8, "in_channels": 3, "sample_size": 3, "encoder_mode": "vit_set", "hdim": 12, "pool": "cls",
    "hidden_size": 16, "depth": 2, "num_heads": 4, "mlp_ratio": 4.0, "patch_size": 4, "context_channels": 12,
    "mode_conditioning": "film", "class_cond": False, "diffusion_steps": 50, "noise_schedule": "linear",
    "learn_sigma": False, "timestep_respacing": "", "use_kl": False, "predict_xstart": False,
    "rescale_timesteps": False, "rescale_learned_sigmas": False, "mode_context": "deterministic", "lr": 1e-3,
}  # fmt: skip


def dense(n_in, n_out, bias=True):
    return {"kernel": (n_in, n_out)} | ({"bias": (n_out,)} if bias else {})


def norm(width):
    return {"scale": (width,), "bias": (width,)}


def attention(width, heads):
    projection = {"kernel": (width, heads, width // heads), "bias": (heads, width // heads)}
    out = {"kernel": (heads, width // heads, width), "bias": (width,)}
    return {"query": projection, "key": projection, "value": projection, "out": out}


def shapes(config):
    """The tree of parameter shapes of a configuration."""
    c, n, p = config["in_channels"], config["sample_size"], config["patch_size"]
    tokens, context, width = (config["image_size"] // p) ** 2, config["hdim"], config["hidden_size"]
    cross = config["mode_conditioning"] == "lag"
    layer = {
        "LayerNorm_0": norm(context), "LayerNorm_1": norm(context),
        "LSA_0": {"Dense_0": dense(context, 3 * 768, bias=False), "Dense_1": dense(768, context), "temperature": ()},
        "FeedForward_0": {"Dense_0": dense(context, context), "Dense_1": dense(context, context)},
    }  # fmt: skip
    encoder = {
        "cls_token": (1, 1, context), "pos_embedding": (1, tokens + 2, context),
        "to_patch_embedding": {"norm": norm(p * p * c * n), "proj": dense(p * p * c * n, context)},
        "mlp_norm": norm(context), "mlp_dense": dense(context, context),
        "transformer": {f"layer_{i}": layer for i in range(6)},
    }  # fmt: skip
    block = {
        "Dense_0": dense(width, 6 * width), "MultiHeadDotProductAttention_0": attention(width, config["num_heads"]),
        "MlpBlock_0": {"Dense_0": dense(width, 4 * width), "Dense_1": dense(4 * width, width)},
    }  # fmt: skip
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
    } | ({} if cross else {"Dense_0": dense(context, width)})
    tree = {"encoder": {"params": encoder}, "dit": {"params": dit}}
    if config["mode_context"] == "variational":
        tree["posterior"] = {"params": {"Dense_0": dense(context, context), "Dense_1": dense(context, 2 * context)}}
    return tree


def draw(tree, rng, scale=0.1):
    """Random arrays of a tree of shapes."""
    if isinstance(tree, dict):
        return {key: draw(branch, rng, scale) for key, branch in tree.items()}
    return (scale * rng.standard_normal(tree)).astype(np.float32)


def source_tree(seed=0, **changed):
    """A whole checkpoint: parameters, moving average, optax's Adam state, step and configuration."""
    config = {**CONFIG, **changed}
    rng, layout = np.random.default_rng(seed), shapes(config)
    second = draw(layout, rng, 0.01)
    adam = {"count": np.asarray(7), "mu": draw(layout, rng, 0.01), "nu": _map(np.square, second)}
    return {
        "params": draw(layout, rng), "ema_params": draw(layout, rng), "opt_state": [adam, {}],
        "step": np.asarray(7), "cfg": config,
    }  # fmt: skip


def _map(function, tree):
    if isinstance(tree, dict):
        return {key: _map(function, branch) for key, branch in tree.items()}
    return function(tree)
