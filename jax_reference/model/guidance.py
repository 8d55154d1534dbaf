"""The network as a sampler sees it: contexts computed once, guidance applied."""

from collections.abc import Callable

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
    model: FewShotDenoiser, support: Float[Array, "b n C H W"], num: int, guidance: float
) -> Callable[[Float[Array, "b*num C H W"], Int[Array, " b*num"]], Float[Array, "b*num C_out H W"]]:
    """A function from x_t and t to the network's output, given support sets.

    With guidance w ≠ 1 the prediction is null + w·(conditional − null)
    (Ho & Salimans 2022, arXiv 2207.12598, equation 6). A learned variance is the conditional network's: its v is a
    position between two variances, and w·v would leave them.

    Args:
        num: queries of each support set.
        guidance: w.

    Raises:
        ValueError: guidance with a model that was trained without a null context.
    """
    check_guidance(guidance, model.null_context is not None)
    fixed = None if model.time_conditioned else model.support_context(support)

    def network(x_t: Float[Array, "b C H W"], t: Int[Array, " b"]) -> Float[Array, "b C_out H W"]:
        context = model.support_context(support, t[::num]) if model.time_conditioned else fixed
        if context is None:
            return model.denoiser(x_t, t, None)
        context = jnp.repeat(context, num, axis=0)  # (b·num, …)
        conditional = model.denoiser(x_t, t, context)
        if guidance == 1.0 or model.null_context is None:
            return conditional
        unconditional = model.denoiser(x_t, t, jnp.broadcast_to(model.null_context[...], context.shape))
        channels = x_t.shape[1]
        null, wanted = unconditional[:, :channels], conditional[:, :channels]
        return jnp.concatenate([null + guidance * (wanted - null), conditional[:, channels:]], axis=1)

    return network
