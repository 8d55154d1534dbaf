"""What the page's button does: from fields and settings to images, step by step."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from lightning_nsd.commands.sample import IMAGES_AT_ONCE
from lightning_nsd.commands.sample_files import sample_grid
from lightning_nsd.commands.sampler_options import choose_sampler
from lightning_nsd.demo.offered import Offered
from lightning_nsd.demo.support import KINDS, Kind, support_set
from lightning_nsd.diffusion.sampler import SAMPLERS, Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.rng import Stream, device_generator
from lightning_nsd.settings.numbers import SEED, Bound, NotWithinError, shown

MOST_IMAGES = IMAGES_AT_ONCE
"""Of one click: as many as `sample` draws at once, so that both draw the same."""
MOST_WORK = 12_800
"""Images times steps of one click, such as 64 images in 200 steps: a laptop takes minutes for that at most."""
_FRAMES = 12  # how often the grid is shown on the way


@dataclass(frozen=True)
class Own:
    """How a checkpoint draws where nothing else is asked for.

    Attributes:
        sampler: a name of `SAMPLERS`.
        steps: of the sampler.
        guidance: w.
    """

    sampler: str
    steps: int
    guidance: float


@dataclass(frozen=True)
class Stage:
    """How far a drawing is.

    Attributes:
        step: steps that are done.
        total: steps of the sampler.
        seconds: since the click.
        grid: the support set above what is drawn so far, as `sample` writes it; None where it is not shown anew.
    """

    step: int
    total: int
    seconds: float
    grid: Image.Image | None


def own(offered: Offered) -> Own:
    """How a checkpoint draws by itself."""
    sampler = offered.model.sampler
    name = next(name for name, kind in SAMPLERS.items() if isinstance(sampler, kind))
    return Own(name, len(sampler.chain(offered.model.diffusion)), sampler.guidance)


def seen(offered: Offered, fields: Sequence[object], kind: object) -> Tensor:
    """What the model sees of the fields, `(n, C, H, W)` in [-1, 1].

    Raises:
        UserError: see `support_set`.
    """
    return support_set(fields, _kind(kind), offered.model.image_size, offered.model.channels, offered.inner)


def draw(
    offered: Offered,
    fields: Sequence[object],
    kind: object,
    num: object,
    sampler: object,
    steps: object,
    guidance: object,
    seed: object,
) -> Iterator[Stage]:
    """New images of what the fields show, one stage after every step; the last has the images.

    All arguments are what a page sends, and nothing is taken on trust.

    Args:
        offered: the checkpoint.
        fields: see `support_set`.
        kind: of the pictures, one of `KINDS`.
        num: images, at most `MOST_IMAGES`.
        sampler: a name of `SAMPLERS`.
        steps: of the sampler; `num` times `steps` is at most `MOST_WORK`.
        guidance: w.
        seed: of all noise, as that of `sample`.

    Raises:
        UserError: something that is missing, out of bounds, or does not go with the model.
    """
    start = time.perf_counter()
    support = seen(offered, fields, kind)
    model = offered.model
    if not model.takes_any_set_size and len(support) != model.n_shot:
        there = "one is there" if len(support) == 1 else f"{len(support)} are there"
        raise UserError(f"This model takes exactly {model.n_shot} pictures, and {there}: fill {model.n_shot} fields.")
    count = _whole("Number of images", num, Bound(1, MOST_IMAGES))
    chosen = _sampler(offered, sampler, steps, guidance)
    total = len(chosen.chain(model.diffusion))
    if count * total > MOST_WORK:
        raise UserError(
            f"{count} images in {total} steps are too many for one click. Take at most {MOST_WORK // total} images, or "
            f"{MOST_WORK // count} steps; `sample` has no such bound."
        )
    support = support.to(model.device)
    noise = device_generator(support.device, _whole("Seed", seed, SEED), Stream.SAMPLING)
    every = max(1, total // _FRAMES)
    for step, images in enumerate(model.sample_steps(support[None], count, noise, chosen, every), 1):
        if images is not None and not images.isfinite().all():
            raise UserError("The images came out not finite. Try less guidance, or an earlier checkpoint.")
        grid = None if images is None else sample_grid(support, images[0])
        yield Stage(step, total, time.perf_counter() - start, grid)


def _kind(value: object) -> Kind:
    for kind in KINDS:
        if value == kind:
            return kind
    raise UserError(f"Pictures are {' or '.join(KINDS)}.")


def _sampler(offered: Offered, name: object, steps: object, guidance: object) -> Sampler:
    """The sampler that is asked for; the model's own, to the last timestep, where that is the same."""
    by_itself = own(offered)
    if not isinstance(name, str) or name not in SAMPLERS:
        raise UserError(f"The sampler is one of {', '.join(SAMPLERS)}.")
    number = _whole("Steps", steps, Bound(1, offered.model.diffusion.num_steps))
    w = _number("Guidance", guidance, Bound(-100.0, 100.0))
    same_steps = name == by_itself.sampler and number == by_itself.steps
    return choose_sampler(offered.model, name, None if same_steps else number, w)


def _whole(name: str, value: object, bound: Bound) -> int:
    """A whole number; a page may send 3 as 3.0."""
    return int(_number(name, int(value) if isinstance(value, float) and value.is_integer() else value, bound))


def _number(name: str, value: object, bound: Bound) -> float:
    try:
        return bound(value)
    except NotWithinError as error:
        is_now = "empty" if value is None else shown(value)
        raise UserError(f"{name} is {is_now}; {error}.") from None
