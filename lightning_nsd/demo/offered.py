"""A model that the page offers, what its pictures are, and the data it was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lightning_nsd.checkpoints.loading import load_checkpoint
from lightning_nsd.checkpoints.places import find_model
from lightning_nsd.data.datamodule import EpisodeDataModule
from lightning_nsd.demo.letters import GLYPHS_INNER
from lightning_nsd.demo.support import Kind
from lightning_nsd.demo.trained_on import trained_on
from lightning_nsd.errors import UserError
from lightning_nsd.model.class_embedding import ClassEmbedding
from lightning_nsd.module import FewShotDiffusion

LETTERS = {"Glyphs": GLYPHS_INNER, "Omniglot": 0.75}
"""Data sets of letters, and the longer side of a letter's ink as a part of the image's. Omniglot's stand as they were
drawn, larger and smaller: its number is an estimate."""
MOST_FIELDS = 20
SHIPPED_NAME = "the shipped model"


@dataclass(frozen=True)
class Offered:
    """A model that the page offers.

    Attributes:
        name: its place, as it was given.
        model: in evaluation mode, where it draws.
        kind: of the pictures that it was trained on.
        inner: of letters, the longer side of the ink as a part of the image's.
        data: what it was trained on, at its image size, to take examples from; None where that is not known.
    """

    name: str
    model: FewShotDiffusion
    kind: Kind
    inner: float
    data: EpisodeDataModule | None


def open_models(places: Sequence[Path], allow: Sequence[str] = ()) -> list[Offered]:
    """The models at some places, loaded; the shipped one where none is named.

    Args:
        places: checkpoints, folders of models, or their addresses on a hub; see `lightning_nsd.load`.
        allow: class paths that they may name beside this package's own.

    Raises:
        UserError: one that cannot be loaded, or that does not draw from pictures; or one twice.
    """
    if not places:
        return [open_model(None, allow)]
    names = [str(place) for place in places]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"--ckpt_path names {twice[0]} twice.")
    return [open_model(place, allow) for place in places]


def open_model(place: Path | None, allow: Sequence[str] = ()) -> Offered:
    """One model, loaded, the shipped one where None.

    Raises:
        UserError: see `open_models`.
    """
    path = find_model(place)
    model = load_checkpoint(path, allow)
    name = SHIPPED_NAME if place is None else str(place)
    if isinstance(model.model.encoder, ClassEmbedding):
        raise UserError(f"{name} draws classes by their number, not from pictures: `sample --class_number` does that.")
    if not model.takes_any_set_size and model.n_shot > MOST_FIELDS:
        raise UserError(f"{name} takes exactly {model.n_shot} pictures, and the page has at most {MOST_FIELDS} fields.")
    found = trained_on(path, allow)
    letters = found.name in LETTERS if found.name else model.channels == 1
    fits = found.data and (found.data.image_size, found.data.channels) == (model.image_size, model.channels)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu")
    inner = LETTERS.get(found.name or "", GLYPHS_INNER)
    return Offered(name, model, "letters" if letters else "photographs", inner, found.data if fits else None)
