"""The network as a sampler sees it: contexts computed once, guidance applied."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jax_reference.model.few_shot_denoiser import FewShotDenoiser


def check_guidance(guidance: float, has_null_context: bool, option: str = "sampler.guidance") -> None:
    """Whether a model can be guided so.

    Args:
        guidance: w.
        has_null_context: whether the model was, or will be, trained with one.
        option: where w comes from, for the message.

    Raises:
        ValueError: guidance with a model that has no null context.
    """
    if guidance != 1.0 and not has_null_context:
        raise ValueError(f"{option} is {guidance}, which needs a model that was trained with context_dropout above 0.")


def guided_network(
    model: FewShotDenoiser,
    support: Float[Array, "b n C_s H_s W_s"] | Int[Array, " b"],
    num: int,
    guidance: float,
    guidance_interval: Sequence[int] | None = None,
) -> Callable[[Float[Array, "b*num C H W"], Int[Array, " b*num"]], Float[Array, "b*num C_out H W"]]:
    """A function from x_t and t to the network's output, given support sets, or numbers of classes.

    With guidance w ≠ 1 the prediction is null + w·(conditional − null)
    (Ho & Salimans 2022, arXiv 2207.12598, equation 6). A learned variance is the conditional network's: its v is a
    position between two variances, and w·v would leave them.

    Args:
        num: queries of each support set.
        guidance: w.
        guidance_interval: the first and the last timestep that are guided; all where None. Outside, w is 1
            (Kynkäänniemi et al. 2024, arXiv 2404.07724).

    Raises:
        ValueError: guidance with a model that was trained without a null context.
    """
    check_guidance(guidance, model.null_context is not None)
    fixed = None if model.time_conditioned else model.support_context(support)
    maps = model.support_maps(support)
    if maps is not None:
        maps = jnp.repeat(maps, num, axis=0)  # (b·num, M, H, W)

    def network(x_t: Float[Array, "b C H W"], t: Int[Array, " b"]) -> Float[Array, "b C_out H W"]:
        context = model.support_context(support, t[::num]) if model.time_conditioned else fixed
        if context is None:
            return model.denoise(x_t, t, None, None)
        context = jnp.repeat(context, num, axis=0)  # (b·num, …)
        conditional = model.denoise(x_t, t, context, maps)
        if guidance == 1.0 or model.null_context is None:
            return conditional
        null_context = jnp.broadcast_to(model.null_context[...], context.shape)
        unconditional = model.denoise(x_t, t, null_context, None if maps is None else jnp.zeros_like(maps))
        channels = x_t.shape[1]
        null, wanted = unconditional[:, :channels], conditional[:, :channels]
        first, last = guidance_interval or (0, jnp.iinfo(t.dtype).max)
        scale = jnp.where((t < first) | (t > last), 1.0, guidance).astype(x_t.dtype)[:, None, None, None]
        return jnp.concatenate([null + scale * (wanted - null), conditional[:, channels:]], axis=1)

    return network
