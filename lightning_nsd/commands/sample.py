"""`python -m lightning_nsd sample`: a few pictures of anything in, new ones of the same kind out."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from lightning_nsd.checkpoints.loading import load_checkpoint
from lightning_nsd.checkpoints.trusted_classes import as_names
from lightning_nsd.commands.function_cli import run_function
from lightning_nsd.commands.npz_option import check_npz_place, write_npz_option
from lightning_nsd.commands.sample_files import check_places, write_samples
from lightning_nsd.commands.sampler_options import SamplerName, choose_sampler
from lightning_nsd.data import Glyphs
from lightning_nsd.data.decoding import decode_image, named, size_of
from lightning_nsd.data.image_tree import SUFFIXES, is_image
from lightning_nsd.data.regular_file import read_regular
from lightning_nsd.data.transforms import to_bytes, to_unit_range
from lightning_nsd.diffusion.sampler import Sampler
from lightning_nsd.errors import UserError
from lightning_nsd.model.class_embedding import ClassEmbedding
from lightning_nsd.module import FewShotDiffusion
from lightning_nsd.rng import Stream, device_generator
from lightning_nsd.settings.numbers import ClassNumber, Factor, Guidance, Images, Seed, Timestep, Timesteps

IMAGES_AT_ONCE = 64


def sample(
    ckpt_path: Path | None = None,
    support: Path | None = None,
    num: Images = 18,
    out: Path = Path("grid.png"),
    sampler: SamplerName | None = None,
    steps: Timesteps | None = None,
    guidance: Guidance | None = None,
    guidance_interval: list[Timestep] | None = None,
    ilvr_factor: Factor | None = None,
    ilvr_until: Timestep | None = None,
    npz: Path | None = None,
    seed: Seed = 0,
    allow: str | list[str] | None = None,
    autoencoder: Path | None = None,
    backbone: Path | None = None,
    class_number: ClassNumber | None = None,
) -> None:
    """Draw images of the class that a folder of pictures shows, or of one of training's classes.

    Args:
        ckpt_path: checkpoint of a trained model, its folder, or `hf://owner/name`; the shipped model, which draws
            characters, where not given.
        support: folder of pictures of one class; cut to the middle square and resized to the model's size. For the
            shipped model five pictures of a shipped letter where not given.
        num: how many images to draw.
        out: the grid; the single images go to a folder of the same name without the suffix. What an earlier call wrote
            there is replaced, anything else is not touched.
        sampler: instead of the model's own, in as many steps.
        steps: sampling steps, instead of those of the model's sampler.
        guidance: scale w of classifier-free guidance, instead of that of the model's sampler.
        guidance_interval: the first and the last timestep that are guided, such as [200, 800], instead of those of
            the model's sampler.
        ilvr_factor: N of ILVR: what is drawn has the means of blocks of N × N pixels of the pictures, one after the
            other; a model without encoder draws from examples so.
        ilvr_until: the last timestep after whose step that is seen to.
        npz: also write the images to this file, `arr_0` uint8 `(num, H, W, C)` and `arr_1` the number of their class
            or 0, as guided-diffusion's scripts do. A file that is there already is not touched.
        seed: of all noise.
        allow: class paths that the checkpoint may name beside this package's own.
        autoencoder: folder of the autoencoder of a model of latents, if it is not where it was in training.
        backbone: file of the weights of a model's pretrained image encoder, if it is not where it was in training.
        class_number: of training's classes, from 0 in their order, for a class-conditional model, which sees no
            pictures.

    Raises:
        UserError: something that cannot be read, or that does not go with the model.
    """
    check_places(out)
    check_npz_place(npz)
    model = load_checkpoint(ckpt_path, as_names(allow), autoencoder, backbone)
    if ckpt_path is None:
        print(f"No --ckpt_path: the shipped model draws characters at {model.image_size} × {model.image_size} pixels.")
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    chosen = choose_sampler(model, sampler, steps, guidance, guidance_interval, ilvr_factor, ilvr_until)
    if isinstance(model.model.encoder, ClassEmbedding):
        shown, images = known_class(model.model.encoder, support, class_number).to(model.device), None
    elif ckpt_path is None and support is None and class_number is None:
        shown = images = shipped_support(model.image_size, model.n_shot).to(model.device)
    elif support is None or class_number is not None:
        raise UserError("--support: this model draws from pictures of a class; name a folder of them, and no number.")
    else:
        shown = images = read_support(support, model.image_size, model.channels).to(model.device)  # (n, C, H, W)
    samples = new_images(model, shown, num, chosen, seed)
    write_samples(images, samples, out)
    if npz is not None:
        write_npz_option(npz, to_bytes(samples), torch.full((num,), class_number or 0))


def known_class(encoder: ClassEmbedding, support: Path | None, class_number: int | None) -> Tensor:
    """The number of a class that a class-conditional model is asked for, `()`.

    Raises:
        UserError: none is asked for, or one that there is not, or pictures are given.
    """
    if support is not None or class_number is None:
        raise UserError(f"--class_number: {encoder.knows} It draws one of them by its number, and not from pictures.")
    if class_number >= encoder.num_classes:
        raise UserError(f"--class_number is {class_number}: {encoder.knows} Their numbers begin at 0.")
    return torch.tensor(class_number)


def shipped_support(image_size: int, n_shot: int) -> Tensor:
    """Pictures of a letter that the shipped model was not trained on, float `(n_shot, 1, H, W)` in [-1, 1]."""
    letters = Glyphs(image_size=image_size, n_shot=n_shot).image_set("test")
    print(f"No --support: {n_shot} shipped pictures of {letters.class_names[0]}; name a folder of your own.")
    return to_unit_range(letters.images[:n_shot])


def read_support(folder: Path, image_size: int, channels: int) -> Tensor:
    """The pictures of a folder, float `(n, C, image_size, image_size)` in [-1, 1], in the order of their names.

    Raises:
        UserError: no folder, no pictures in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"--support: there is no folder {folder}.")
    files = sorted(path for path in folder.iterdir() if is_image(path.name))
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
    """`num` images `(num, C, H, W)` in [-1, 1] of one class, with a progress bar.

    Args:
        model: draws them.
        support: `(n, C, H, W)`, or the number of a class of training, `()`.
        num: how many.
        sampler: of the model's process.
        seed: of all noise.

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
