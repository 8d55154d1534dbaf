"""`python -m lightning_nsd sample`: a few pictures of anything in, new ones of the same kind out."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from tqdm import tqdm

from lightning_nsd.checkpoints.loading import load_checkpoint
from lightning_nsd.checkpoints.settings import describe
from lightning_nsd.checkpoints.trusted_classes import as_names
from lightning_nsd.commands.function_cli import run_function
from lightning_nsd.commands.sample_files import check_places, write_samples
from lightning_nsd.data.decoding import decode_image, named, size_of
from lightning_nsd.data.image_tree import SUFFIXES
from lightning_nsd.data.regular_file import read_regular
from lightning_nsd.data.transforms import to_unit_range
from lightning_nsd.diffusion.sampler import SAMPLERS, Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.rng import Stream, device_generator
from lightning_nsd.settings.numbers import Guidance, Images, Seed, Timestep, Timesteps

IMAGES_AT_ONCE = 64

if TYPE_CHECKING:
    SamplerName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]  # the command line's choices


def sample(
    ckpt_path: Path,
    support: Path,
    num: Images = 18,
    out: Path = Path("grid.png"),
    sampler: SamplerName | None = None,
    steps: Timesteps | None = None,
    guidance: Guidance | None = None,
    guidance_interval: list[Timestep] | None = None,
    seed: Seed = 0,
    allow: str | list[str] | None = None,
    autoencoder: Path | None = None,
    backbone: Path | None = None,
) -> None:
    """Draw images of the class that a folder of pictures shows.

    Args:
        ckpt_path: checkpoint of a trained model.
        support: folder of pictures of one class; cut to the middle square and resized to the model's size.
        num: how many images to draw.
        out: the grid; the single images go to a folder of the same name without the suffix. What an earlier call wrote
            there is replaced, anything else is not touched.
        sampler: instead of the model's own, in as many steps.
        steps: sampling steps, instead of those of the model's sampler.
        guidance: scale w of classifier-free guidance, instead of that of the model's sampler.
        guidance_interval: the first and the last timestep that are guided, such as [200, 800], instead of those of
            the model's sampler.
        seed: of all noise.
        allow: class paths that the checkpoint may name beside this package's own.
        autoencoder: folder of the autoencoder of a model of latents, if it is not where it was in training.
        backbone: file of the weights of a model's pretrained image encoder, if it is not where it was in training.

    Raises:
        UserError: something that cannot be read, or that does not go with the model.
    """
    check_places(out)
    model = load_checkpoint(ckpt_path, as_names(allow), autoencoder, backbone)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    chosen = choose_sampler(model, sampler, steps, guidance, guidance_interval)
    images = read_support(support, model.image_size, model.channels).to(model.device)  # (n, C, H, W)
    write_samples(images, new_images(model, images, num, chosen, seed), out)


def choose_sampler(
    model: FewShotDiffusion,
    name: str | None,
    steps: int | None,
    guidance: float | None,
    guidance_interval: Sequence[int] | None = None,
) -> Sampler:
    """The model's own sampler, changed where something else is asked for.

    Raises:
        UserError: more steps than the model's diffusion has, or an interval that is none.
    """
    own = model.sampler
    kind = type(own) if name is None else SAMPLERS[name]
    settings = describe(own)["init_args"]
    if kind is not type(own):  # which timesteps suit it is another question for another sampler
        settings.pop("spacing", None)
        settings = {key: value for key, value in settings.items() if key in inspect.signature(kind).parameters}
    if steps is not None:
        settings.update(num_steps=steps, timesteps=None)
    if guidance is not None:
        settings["guidance"] = guidance
    if guidance_interval is not None:
        settings["guidance_interval"] = guidance_interval
    chosen = kind(**settings)
    chosen.chain(model.diffusion)
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
        with named(path):
            data = read_regular(path)
            size = size_of(data)
            pixels, _ = decode_image(data, image_size, channels)
        images.append(torch.from_numpy(pixels.copy()))
        if size != (image_size, image_size):
            resized.append(f"{path.name} ({size[0]} × {size[1]})")
    if resized:
        print(f"Cut to the middle square and resized to {image_size} × {image_size}: {', '.join(resized)}.")
    return to_unit_range(torch.stack(images))


def new_images(model: FewShotDiffusion, support: Tensor, num: int, sampler: Sampler, seed: int) -> Tensor:
    """`num` images `(num, C, H, W)` in [-1, 1] from one support set `(n, C, H, W)`, with a progress bar.

    Raises:
        UserError: a support set of a size that the encoder does not take, or images that are not finite.
    """
    noise = device_generator(support.device, seed, Stream.SAMPLING)
    sizes = [min(IMAGES_AT_ONCE, num - start) for start in range(0, num, IMAGES_AT_ONCE)]
    total = len(sizes) * len(sampler.chain(model.diffusion))
    with tqdm(total=total, desc=f"Drawing {num} images", unit="step") as bar:
        parts = [model.sample(support[None], size, noise, sampler, on_step=bar.update)[0] for size in sizes]
    images = torch.cat(parts)
    if not images.isfinite().all():
        raise UserError(
            "The images came out not finite, and none was written. Try less guidance, or an earlier checkpoint."
        )
    return images


def main(arguments: Sequence[str]) -> None:
    """The command line of `sample`."""
    run_function(sample, arguments)
