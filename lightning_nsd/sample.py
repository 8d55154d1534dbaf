"""`python -m lightning_nsd sample`: a few pictures of anything in, new ones of the same kind out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from lightning_nsd.data.image_folder import decode_image
from lightning_nsd.data.image_tree import SUFFIXES
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.diffusion.sampler import SAMPLERS, Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.function_cli import run_function
from lightning_nsd.loading import load_checkpoint
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.pictures import grid, to_image
from lightning_nsd.rng import Stream, device_generator
from lightning_nsd.terminal import console

IMAGES_AT_ONCE = 64
GRID_COLUMNS = 6


def sample(
    ckpt_path: Path,
    support: Path,
    num: int = 18,
    out: Path = Path("grid.png"),
    sampler: Literal["ddpm", "ddim", "dpm++"] | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int = 0,
) -> None:
    """Draw images of the class that a folder of pictures shows.

    Args:
        ckpt_path: checkpoint of a trained model.
        support: folder of pictures of one class; cut to the middle square and resized to the model's size.
        num: how many images to draw.
        out: the grid; the single images go to a folder of the same name without the suffix.
        sampler: instead of the one that the model was trained with.
        steps: sampling steps.
        guidance: scale w of classifier-free guidance.
        seed: of all noise.

    Raises:
        UserError: something that cannot be read, or that does not go with the model.
    """
    if num < 1:
        raise UserError(f"--num is {num}; it must be at least 1.")
    if out.suffix.lower() != ".png":
        raise UserError(f"--out is {out}; it must end in .png.")
    model = load_checkpoint(ckpt_path).to("cuda" if torch.cuda.is_available() else "cpu")
    chosen = choose_sampler(model, sampler, steps, guidance)
    images = read_support(support, model.image_size, model.channels).to(model.device)  # (n, C, H, W)
    drawn = draw(model, images, num, chosen, seed)
    write(images, drawn, out)


def choose_sampler(model: FewShotDiffusion, name: str | None, steps: int | None, guidance: float | None) -> Sampler:
    """The model's own sampler, unless something else is asked for.

    Raises:
        UserError: impossible steps, or guidance for a model that was trained without dropping contexts.
    """
    if name is None and steps is None and guidance is None:
        return model.sampler
    kind = type(model.sampler) if name is None else SAMPLERS[name]
    num_steps = (model.sampler.num_steps if kind is type(model.sampler) else None) if steps is None else steps
    scale = model.sampler.guidance if guidance is None else guidance
    chosen = kind(num_steps=num_steps, guidance=scale)
    chosen.chain(model.diffusion.num_steps)
    return chosen


def read_support(folder: Path, image_size: int, channels: int) -> Tensor:
    """The pictures of a folder, float `(n, C, image_size, image_size)` in [-1, 1], in the order of their names.

    Raises:
        UserError: no folder, no pictures in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"--support: there is no folder {folder}.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise UserError(f"--support: no pictures in {folder} ({kinds}).")
    images, resized = [], []
    for path in files:
        try:
            with Image.open(path) as opened:
                size = opened.size
            pixels, _ = decode_image(path.read_bytes(), image_size, channels)
        except Exception as error:  # decoders raise what they like on a broken file
            raise UserError(f"--support: {path} is no image that can be read: {error}") from error
        images.append(torch.from_numpy(pixels.copy()))
        if size != (image_size, image_size):
            resized.append(f"{path.name} ({size[0]} × {size[1]})")
    if resized:
        print(f"Cut to the middle square and resized to {image_size} × {image_size}: {', '.join(resized)}.")
    return to_unit_range(torch.stack(images))


def draw(model: FewShotDiffusion, support: Tensor, num: int, sampler: Sampler, seed: int) -> Tensor:
    """`num` images `(num, C, H, W)` in [-1, 1] from one support set `(n, C, H, W)`, with a progress bar."""
    noise = device_generator(support.device, seed, Stream.SAMPLING)
    parts = [min(IMAGES_AT_ONCE, num - start) for start in range(0, num, IMAGES_AT_ONCE)]
    total = len(parts) * len(sampler.chain(model.diffusion.num_steps))
    with tqdm(total=total, desc=f"Drawing {num} images", unit="step") as bar:
        drawn = [model.sample(support[None], part, noise, sampler, on_step=bar.update)[0] for part in parts]
    return torch.cat(drawn)


def write(support: Tensor, drawn: Tensor, out: Path) -> None:
    """The grid, the support set in its first row, and every image on its own."""
    folder = out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(drawn):
        to_image(image).save(folder / f"{number:03d}.png")
    columns = max(GRID_COLUMNS, len(support))
    grid([support, *drawn.split(columns)]).save(out)
    console().print(f"{out}: the support set above, {len(drawn)} images below; each in {folder}/")


def main(arguments: Sequence[str]) -> None:
    """The command line of `sample`."""
    run_function(sample, arguments)
