"""The sampler of a checkpoint with what a command line changes of it."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from lightning_nsd.checkpoints.settings import describe
from lightning_nsd.diffusion.sampler import SAMPLERS, Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.module import FewShotDiffusion

if TYPE_CHECKING:
    SamplerName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]  # the command line's choices


def choose_sampler(
    model: FewShotDiffusion,
    name: str | None,
    steps: int | None,
    guidance: float | None,
    guidance_interval: Sequence[int] | None = None,
    ilvr_factor: int | None = None,
    ilvr_until: int | None = None,
    own: Sampler | None = None,
) -> Sampler:
    """A sampler, changed where something else is asked for.

    Args:
        model: what is drawn from.
        name: of another kind of sampler, in as many steps.
        steps: how many; as the sampler has them where None, and so on.
        guidance: w.
        guidance_interval: the first and the last timestep that are guided.
        ilvr_factor: N of ILVR.
        ilvr_until: the last timestep after whose step an image is held to its reference.
        own: the sampler that is changed; the model's where None.

    Raises:
        UserError: more steps than the model's diffusion has, an interval that is none, or an ILVR that the sampler has
            not, or that does not fit the model's images.
    """
    own = own or model.sampler
    kind = type(own) if name is None else SAMPLERS[name]
    settings = describe(own)["init_args"]
    given = {
        "guidance": guidance,
        "guidance_interval": guidance_interval,
        "ilvr_factor": ilvr_factor,
        "ilvr_until": ilvr_until,
    }
    settings |= {key: value for key, value in given.items() if value is not None}
    if steps is not None:
        settings.update(num_steps=steps, timesteps=None)
    known = inspect.signature(kind).parameters
    if "ilvr_factor" not in known and (settings.get("ilvr_factor") is not None or ilvr_until is not None):
        raise UserError(
            f"ilvr_factor: {kind.__name__} has no ILVR, for it extrapolates over steps that ILVR changes. Take ddpm or "
            "ddim, which have."
        )
    if kind is not type(own):  # which timesteps suit it is another question for another sampler
        settings.pop("spacing", None)
    chosen = kind(**{key: value for key, value in settings.items() if key in known})
    chosen.chain(model.diffusion)
    chosen.check_image_size(model.space.size)
    return chosen
