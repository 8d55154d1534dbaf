"""The network as a sampler sees it: contexts computed once, guidance applied."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lightning_nsd.by_timestep import ByTimestep
from lightning_nsd.errors import UserError
from lightning_nsd.model.few_shot_denoiser import FewShotDenoiser


def check_guidance(guidance: float, has_null_context: bool, option: str = "sampler.guidance") -> None:
    """Whether a model can be guided so.

    Args:
        guidance: w.
        has_null_context: whether the model was, or will be, trained with one.
        option: where w comes from, for the message.

    Raises:
        UserError: guidance with a model that has no null context.
    """
    if guidance != 1.0 and not has_null_context:
        raise UserError(
            f"{option} is {guidance}, which needs an encoder and a null context to guide away from: train with "
            f"model.context_dropout above 0 (0.1 is usual), or set {option} to 1."
        )


def guided_network(
    model: FewShotDenoiser,
    support: Float[Tensor, "b n C_s H_s W_s"] | Int[Tensor, " b"],
    num: int,
    guidance: float,
    guidance_interval: Sequence[int] | None = None,
) -> Callable[[Float[Tensor, "b*num C H W"], Int[Tensor, " b*num"]], Float[Tensor, "b*num C_out H W"]]:
    """A function from x_t and t to the network's output, given support sets, or numbers of classes.

    With a guidance interval it is a `ByTimestep`, so that a batch is doubled where it is guided and nowhere else.

    With guidance w ≠ 1 the prediction is null + w·(conditional − null), from one doubled batch
    (Ho & Salimans 2022, arXiv 2207.12598, equation 6). A learned variance is the conditional network's: its v is a
    position between two variances, and w·v would leave them.

    Args:
        num: queries of each support set.
        guidance: w.
        guidance_interval: the first and the last timestep that are guided; all where None. Outside, w is 1
            (Kynkäänniemi et al. 2024, arXiv 2404.07724).

    Raises:
        UserError: guidance with a model that was trained without a null context.
    """
    check_guidance(guidance, model.null_context is not None)
    fixed = None if model.time_conditioned else model.support_context(support)
    maps = model.support_maps(support)
    if maps is not None:
        maps = maps.repeat_interleave(num, dim=0)  # (b·num, M, H, W)

    def of_queries(t: Int[Tensor, " b"]) -> Float[Tensor, "b *L D_c"] | None:
        context = model.support_context(support, t[::num]) if model.time_conditioned else fixed
        return None if context is None else context.repeat_interleave(num, dim=0)  # (b·num, …)

    def conditional(x_t: Float[Tensor, "b C H W"], t: Int[Tensor, " b"]) -> Float[Tensor, "b C_out H W"]:
        return model.denoise(x_t, t, of_queries(t), maps)

    def guided(x_t: Float[Tensor, "b C H W"], t: Int[Tensor, " b"]) -> Float[Tensor, "b C_out H W"]:
        context = of_queries(t)
        assert context is not None and model.null_context is not None  # see check_guidance
        null = model.null_context.expand_as(context)
        both_maps = None if maps is None else torch.cat([maps, torch.zeros_like(maps)])
        doubled = model.denoise(torch.cat([x_t, x_t]), torch.cat([t, t]), torch.cat([context, null]), both_maps)
        wanted, unconditional = doubled.chunk(2)
        channels = x_t.shape[1]
        mean = (unconditional + guidance * (wanted - unconditional))[:, :channels]
        return torch.cat([mean, wanted[:, channels:]], dim=1)  # (b·num, C or 2C, H, W)

    if guidance == 1.0:
        return conditional
    if guidance_interval is None:
        return guided
    first, last = guidance_interval

    def anywhere(x_t: Float[Tensor, "b C H W"], t: Int[Tensor, " b"]) -> Float[Tensor, "b C_out H W"]:
        is_guided = ((t >= first) & (t <= last))[:, None, None, None]
        return torch.where(is_guided, guided(x_t, t), conditional(x_t, t))

    return ByTimestep(lambda t: guided if first <= t <= last else conditional, anywhere)
