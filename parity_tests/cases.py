"""Every combination of encoder, conditioning, context and denoiser that a config can name, at tiny sizes."""

from collections.abc import Iterator
from typing import Any

Settings = dict[str, Any]

VIT: Settings = {"patch_size": 4, "context_dim": 8, "hidden_size": 12, "depth": 1, "num_heads": 2, "head_dim": 6}
UNET_ENCODER: Settings = {
    "context_dim": 8,
    "model_channels": 8,
    "channel_multipliers": [1, 2],
    "attention_resolutions": [4],
    "num_heads": 2,
}
VECTOR_ENCODERS = (
    ("SetViT", {**VIT, "pool": "cls"}),
    ("SetViT", {**VIT, "pool": "mean"}),
    ("ViT", {**VIT, "pool": "cls"}),
    ("ViT", {**VIT, "pool": "mean"}),
    ("UNetEncoder", {**UNET_ENCODER, "pool": "mean"}),
    ("UNetEncoder", {**UNET_ENCODER, "pool": "flatten"}),
)
TOKEN_ENCODERS = (
    ("SetViT", {**VIT, "pool": "none"}),
    ("ViT", {**VIT, "pool": "none"}),
    ("ViT", {**VIT, "pool": "mean_patch"}),
    ("UNetEncoder", {**UNET_ENCODER, "pool": "mean_patch"}),
)
CLASS_ENCODER = ("ClassEmbedding", {"num_classes": 3, "context_dim": 8})
KNOW_THE_TIME = ("SetViT", "ViT", "UNetEncoder")
"""Encoders that can be time-conditioned."""
DENOISERS: tuple[tuple[str, Settings], ...] = (
    ("DiT", {"patch_size": 4, "hidden_size": 16, "depth": 2, "num_heads": 2}),
    (
        "UNet",
        {
            "model_channels": 8,
            "channel_multipliers": [1, 2],
            "num_res_blocks": 1,
            "attention_resolutions": [4],
            "num_heads": 2,
        },
    ),
)
CONTEXTS = ("DeterministicContext", "VariationalContext")
DISCRETE_CONTEXT: Settings = {
    "class_path": "DiscreteContext",
    "init_args": {"codebook_size": 5, "temperature": 0.7},
}
SPATIAL_CONTEXT: Settings = {"class_path": "SpatialContext", "init_args": {"model_channels": 8, "num_res_blocks": 1}}
DIFFUSIONS: tuple[Settings, ...] = (
    {"num_steps": 100, "schedule": "linear", "prediction": "eps", "variance": "learned"},
    {"num_steps": 100, "schedule": "cosine", "prediction": "v", "variance": "fixed_large"},
    {"num_steps": 100, "schedule": "linear", "prediction": "x_0", "variance": "fixed_small"},
)


def part(name: str, arguments: Settings) -> Settings:
    """A class and its arguments, as a config writes them."""
    return {"class_path": name, "init_args": dict(arguments)}


def settings(
    encoder: tuple[str, Settings] | None,
    denoiser: tuple[str, Settings],
    conditioning: str,
    context: str = "DeterministicContext",
    time_conditioned: bool = False,
    **more: Any,
) -> Settings:
    """A config's `model` section for images of 8 × 8 pixels in three colours, two shots."""
    time = {"time_conditioned": time_conditioned} if encoder and encoder[0] in KNOW_THE_TIME else {}
    return {
        "image_size": 8,
        "channels": 3,
        "n_shot": 2,
        "encoder": part(encoder[0], {**encoder[1], **time}) if encoder else None,
        "denoiser": part(denoiser[0], {**denoiser[1], "conditioning": conditioning}),
        "context": {"class_path": context},
        "context_dropout": 0.1 if encoder else 0.0,
        "kl_weight": 0.3,
        "diffusion": {"num_steps": 100},
        **more,
    }


def with_maps() -> Iterator[tuple[str, Settings]]:
    """A spatial context beside either kind of context, in front of either denoiser."""
    for denoiser, diffusion, conditioning, encoder in (
        (DENOISERS[1], DIFFUSIONS[1], "film", VECTOR_ENCODERS[1]),
        (DENOISERS[0], DIFFUSIONS[0], "cross_attention", TOKEN_ENCODERS[3]),
    ):
        yield (
            f"SpatialContext-{encoder[0]}-{conditioning}-{denoiser[0]}",
            settings(encoder, denoiser, conditioning, diffusion=diffusion, spatial_context=SPATIAL_CONTEXT),
        )


def with_a_codebook() -> Iterator[tuple[str, Settings]]:
    """A discrete context of a vector; of tokens among `EVERY_MODULE`."""
    described = settings(CLASS_ENCODER, DENOISERS[0], "film", diffusion=DIFFUSIONS[0])
    yield "ClassEmbedding-film-Discrete-DiT", {**described, "context": DISCRETE_CONTEXT}


def of_the_source() -> Iterator[tuple[str, Settings]]:
    """What later versions of the JAX source have: slots, other tokens and heads, contexts with the query in them.

    Twelve make three timestep features, so that an odd number is among the cases.
    """
    later = {"slots": 4, "mlp_head_dim": 5, "time_embedding_dim": 12}
    denoiser, arguments = DENOISERS[0]
    joint = (denoiser, {**arguments, "film": "joint", "cond_norm": True, "stored_position": True})
    vit = ("ViT", {**VIT, **later, "pool": "mean", "interleaved_positions": True, "qkv_bias": True})
    for context in CONTEXTS:
        yield (
            f"ViT-slots-joint-{context.removesuffix('Context')}",
            settings(vit, joint, "film", context, True, diffusion=DIFFUSIONS[1], leave_one_out=False),
        )
    for tokens in ("stacked", "mean"):
        encoder = ("SetViT", {**VIT, **later, "pool": "cls", "tokens": tokens})
        yield f"SetViT-slots-{tokens}", settings(encoder, DENOISERS[0], "film", diffusion=DIFFUSIONS[2])
    yield (
        "UNetEncoder-SpatialContext-with-the-query",
        settings(VECTOR_ENCODERS[4], DENOISERS[1], "film", leave_one_out=False, spatial_context=SPATIAL_CONTEXT),
    )


def of_features() -> Iterator[tuple[str, Settings]]:
    """A head of three layers to a vector, and of one to tokens, over images: features have the shape of images."""
    vector = ("FeatureEncoder", {"context_dim": 8, "mlp_head_dim": 6})
    tokens = ("FeatureEncoder", {"context_dim": 8, "pool": "mean_patch"})
    for encoder, denoiser, conditioning in ((vector, DENOISERS[0], "film"), (tokens, DENOISERS[1], "cross_attention")):
        yield (
            f"FeatureEncoder-{conditioning}-{denoiser[0]}",
            settings(encoder, denoiser, conditioning, "VariationalContext", diffusion=DIFFUSIONS[1]),
        )


def combinations() -> Iterator[tuple[str, Settings]]:
    """All without a spatial context, with a name; time conditioning and the kinds of diffusion take turns."""
    number = 0
    for denoiser in DENOISERS:
        for conditioning, encoders in (
            ("film", VECTOR_ENCODERS),
            ("cross_attention", (*VECTOR_ENCODERS, *TOKEN_ENCODERS)),
        ):
            for encoder in encoders:
                for context in CONTEXTS:
                    time_conditioned = number % 2 == (number // 2) % 2 and encoder[0] in KNOW_THE_TIME
                    diffusion = DIFFUSIONS[number % 3]
                    words = [encoder[0], encoder[1].get("pool"), "time" if time_conditioned else "", conditioning]
                    name = "-".join(filter(None, [*words, context.removesuffix("Context"), denoiser[0]]))
                    yield (
                        name,
                        settings(encoder, denoiser, conditioning, context, time_conditioned, diffusion=diffusion),
                    )
                    number += 1
        yield f"no-encoder-{denoiser[0]}", settings(None, denoiser, "none")


def other_contexts() -> set[str]:
    """One of the two contexts of every encoder and conditioning, in turns; the other one in front of a UNet."""
    names = [name for name, described in combinations() if described["encoder"]]
    pairs = list(zip(names[::2], names[1::2], strict=True))
    half = len(pairs) // len(DENOISERS)
    return {pair[(number // 2 + number // half) % 2] for number, pair in enumerate(pairs)}


COMBINATIONS = {
    **dict(of_features()),
    **dict(with_maps()),
    **dict(with_a_codebook()),
    **dict(of_the_source()),
    **dict(combinations()),
}

SMALL_DIT = settings(VECTOR_ENCODERS[0], DENOISERS[0], "film", "VariationalContext", diffusion=DIFFUSIONS[0])
SMALL_UNET = settings(
    TOKEN_ENCODERS[3], DENOISERS[1], "cross_attention", time_conditioned=True, diffusion=DIFFUSIONS[1]
)
EVERY_MODULE = {
    "FeatureEncoder-DiT": COMBINATIONS["FeatureEncoder-film-DiT"],
    "SetViT-DiT": SMALL_DIT,
    "UNetEncoder-UNet": SMALL_UNET,
    "ViT-DiT": {
        **settings(TOKEN_ENCODERS[2], DENOISERS[0], "cross_attention", time_conditioned=True, diffusion=DIFFUSIONS[2]),
        "context": DISCRETE_CONTEXT,
    },
    "ViT-slots-joint-DiT": COMBINATIONS["ViT-slots-joint-Deterministic"],
    "ClassEmbedding-DiT": settings(CLASS_ENCODER, DENOISERS[0], "film", diffusion=DIFFUSIONS[1]),
    "SetViT-SpatialContext-UNet": settings(
        VECTOR_ENCODERS[1], DENOISERS[1], "film", time_conditioned=True, spatial_context=SPATIAL_CONTEXT
    ),
}
NOT_IN_BFLOAT16 = ("ViT-DiT",)
"""Uniform noise is kept 1e-6 away from 1, which is 1 in bfloat16: Gumbel noise is infinite there."""
