"""A letter drawn anyhow becomes what training saw of letters."""

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_nsd.data.glyphs import read_scripts
from lightning_nsd.demo.letters import letter_image
from lightning_nsd.errors import UserError
from tests.demo.conftest import drawn, png

HELD_OUT = read_scripts(("hebrew", "georgian"), 32)
LETTERS = [(name, font) for name in list(HELD_OUT)[::4] for font in (0, 7, 20) if font < len(HELD_OUT[name])]


def glyph(name: str, font: int) -> Image.Image:
    return Image.fromarray(HELD_OUT[name][font, 0].numpy())


def in_corner(letter: Image.Image, side: int = 60) -> Image.Image:
    canvas = Image.new("L", (280, 280), 255)
    canvas.paste(letter.resize((side, side), Image.Resampling.BICUBIC), (3, 216))
    return canvas


def inverted(picture: Image.Image) -> Image.Image:
    return picture.point(lambda level: 255 - level)


def on_nothing(picture: Image.Image, ink: int) -> Image.Image:
    """Strokes of one colour where the picture is dark, and no paper."""
    layer = Image.new("RGBA", picture.size, (ink, ink, ink, 0))
    layer.putalpha(inverted(picture))
    return layer


def coloured_photograph(picture: Image.Image) -> Image.Image:
    """Blue ink on grey paper with grain, not at full contrast."""
    light = np.asarray(picture, float)[..., None] / 255 * np.array([150, 140, 120]) + np.array([30, 40, 80])
    grain = np.random.default_rng(0).normal(0, 2, light.shape)
    return Image.fromarray(np.clip(light + grain, 0, 255).astype(np.uint8))


def levels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, float)


@pytest.mark.parametrize("size", [32, 16, 8])
def test_a_held_out_letter_painted_small_into_a_corner_is_the_training_image_again(size: int) -> None:
    glyphs = read_scripts(("hebrew", "georgian"), size)
    away, apart = [], []
    for name, font in LETTERS:
        seen = levels(letter_image(png(in_corner(glyph(name, font))), size))
        fonts = glyphs[name][:, 0].double().numpy()
        away.append(np.abs(seen - fonts[font]).mean())
        nearest = np.abs(seen - torch.cat(list(glyphs.values()))[:, 0].numpy()).mean(axis=(1, 2)).argmin()
        index = sum(len(glyphs[before]) for before in list(glyphs)[: list(glyphs).index(name)])
        apart.append(nearest - index in range(len(fonts)))
    assert np.mean(away) < 7 and max(away) < 20  # of 255
    assert np.mean(apart) > 0.97  # nearest to an image of its own class, among all letters of both scripts


@pytest.mark.parametrize(
    ("change", "bound"),
    [
        (inverted, 0.5),
        (lambda p: on_nothing(p, 0), 0.5),
        (lambda p: on_nothing(p, 255), 0.5),
        (lambda p: p.convert("RGB"), 0.5),
        (lambda p: p.resize((1400, 1400), Image.Resampling.BICUBIC), 6),
        (coloured_photograph, 6),
    ],
    ids=["light on dark", "dark on nothing", "light on nothing", "colour", "large", "photograph"],
)
def test_it_does_not_matter_how_a_letter_is_written(change, bound: float) -> None:
    away = []
    for name, font in LETTERS[::3]:
        plain = in_corner(glyph(name, font))
        expected = levels(letter_image(png(plain), 16))
        away.append(np.abs(levels(letter_image(png(change(plain)), 16)) - expected).mean())
    assert np.mean(away) < bound and max(away) < 4 * bound  # where the ink's edge falls may move it by a pixel


def test_a_letter_is_dark_on_light_in_the_middle_and_fills_seven_eighths() -> None:
    seen = levels(letter_image(png(drawn((5, 5, 65, 45))), 32))
    rows, columns = (np.flatnonzero((seen < 128).any(axis=axis)) for axis in (1, 0))
    assert (columns[0], columns[-1]) == (2, 29)
    assert abs(rows[0] - (31 - rows[-1])) <= 1
    assert seen[0].min() == 255 and seen.min() < 30


@pytest.mark.parametrize("size", [8, 16, 28, 32, 64])
def test_every_size_is_made(size: int) -> None:
    assert letter_image(png(drawn()), size).size == (size, size)


def test_another_margin_is_kept() -> None:
    seen = levels(letter_image(png(drawn((5, 5, 65, 45))), 28, inner=0.5))
    assert np.ptp(np.flatnonzero((seen < 128).any(axis=0))) + 1 == 14


def test_an_image_of_training_is_not_changed() -> None:
    letter = np.roll(HELD_OUT["hebrew/05D0"][3, 0].numpy(), 2, axis=0)  # and were it not in the middle
    assert np.array_equal(letter_image(png(Image.fromarray(letter)), 32), letter)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_is_refused(level: int) -> None:
    almost = Image.new("L", (280, 280), level)
    almost.putpixel((7, 7), abs(level - 10))
    for picture in (Image.new("L", (50, 90), level), almost, Image.new("RGBA", (50, 50), (level, level, level, 0))):
        with pytest.raises(UserError, match="is blank"):
            letter_image(png(picture), 16)


def test_a_dot_is_a_letter() -> None:
    dot = Image.new("L", (280, 280), 255)
    dot.putpixel((0, 279), 0)
    assert levels(letter_image(png(dot), 16))[8, 8] == 0
