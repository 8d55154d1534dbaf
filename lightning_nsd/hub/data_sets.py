"""What a card says of the data set that a model was trained on: whose it is, and under which licence."""

from typing import NamedTuple


class Source(NamedTuple):
    """A data set as its sources present it.

    Attributes:
        what: it holds.
        licence: as the sources state it.
        on_hub: its name on huggingface.co, where it is known there.
    """

    what: str
    licence: str
    on_hub: str | None = None


UNKNOWN = Source("images that are not published with this model", "unknown; ask who made this model")
SOURCES = {
    "Glyphs": Source(
        "519 characters of 11 scripts, drawn from free fonts, shipped with lightning-nsd",
        "of the fonts: `lightning_nsd/assets/glyphs/ATTRIBUTION.md` in lightning-nsd lists each with its licence "
        "(among them OFL-1.1, GPL, AGPL, Apache-2.0, CC0-1.0); the images are small pictures of characters and hold "
        "no font",
    ),
    "Omniglot": Source(
        "1,623 handwritten characters of 50 alphabets ([Lake et al. 2015](https://doi.org/10.1126/science.aab3050))",
        "MIT",
    ),
    "CIFAR100": Source(
        "60,000 small photographs of 100 classes "
        "([Krizhevsky 2009](https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf))",
        "none stated; photographs from the web",
        "uoft-cs/cifar100",
    ),
    "MiniImageNet": Source(
        "60,000 photographs of 100 classes of ImageNet ([Vinyals et al. 2016](https://arxiv.org/abs/1606.04080))",
        "ImageNet's terms: non-commercial research and education",
    ),
    "CelebA": Source(
        "202,599 photographs of the faces of 10,177 people ([Liu et al. 2015](https://arxiv.org/abs/1411.7766))",
        "non-commercial research only",
    ),
    "CUB200": Source(
        "11,788 photographs of 200 kinds of birds (Wah et al. 2011, CNS-TR-2011-001)",
        "none stated; photographs from the web",
    ),
    "ClassFolder": UNKNOWN,
}


def source_of(name: str) -> Source:
    """Of a data set by its class's name; one that is not this package's is not known."""
    return SOURCES.get(name, UNKNOWN)
