"""A model of letters that draws in milliseconds, and pictures for its fields."""

import base64
import io
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lightning_nsd.data import Glyphs
from lightning_nsd.demo.letters import GLYPHS_INNER
from lightning_nsd.demo.offered import Offered
from lightning_nsd.diffusion.gaussian import GaussianDiffusion
from lightning_nsd.diffusion.sampler import DDIM
from lightning_nsd.model.unet_encoder import UNetEncoder
from lightning_nsd.module import FewShotDiffusion
from tests.conftest import randomized, tiny_dit, tiny_set_vit

SIZE, N_SHOT = 8, 5
any_size = partial(UNetEncoder, context_dim=8, model_channels=4, channel_multipliers=(1,), pool="mean")


def make_offered(name="letters.ckpt", encoder=any_size, seed=0) -> Offered:
    model = FewShotDiffusion(
        SIZE,
        1,
        N_SHOT,
        denoiser=tiny_dit,
        encoder=encoder,
        diffusion=GaussianDiffusion(num_steps=50),
        sampler=DDIM(6, eta=0.5),
        context_dropout=0.1,
    )
    randomized(model.model, seed)
    model.ema = None
    return Offered(name, model.eval(), "letters", GLYPHS_INNER, Glyphs(image_size=SIZE))


def png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "png")
    return stream.getvalue()


def url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def drawn(box=(60, 40, 200, 240), size=280, ink=0, paper=255) -> Image.Image:
    """A drawing: a thick frame with a stroke across."""
    picture = Image.new("L", (size, size), paper)
    pen = ImageDraw.Draw(picture)
    pen.rectangle(box, outline=ink, width=max(2, (box[2] - box[0]) // 8))
    pen.line((*box[:2], *box[2:]), fill=ink, width=max(2, (box[2] - box[0]) // 8))
    return picture


@pytest.fixture(scope="session")
def offered() -> Offered:
    return make_offered()


@pytest.fixture(scope="session")
def of_one_size() -> Offered:
    return make_offered("of_five.ckpt", tiny_set_vit)


@pytest.fixture
def five() -> list[str]:
    """Five fields with drawings, each a little different."""
    return [url(png(drawn((60 + 5 * i, 40, 200, 240 - 7 * i)))) for i in range(N_SHOT)]


@pytest.fixture
def photographs() -> list[bytes]:
    """Five files of colour, none of them square."""
    draw = np.random.default_rng(0)
    return [png(Image.fromarray(draw.integers(0, 256, (20 + i, 31, 3), dtype=np.uint8))) for i in range(N_SHOT)]
