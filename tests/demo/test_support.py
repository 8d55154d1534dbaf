"""From fields to a support set: order, kinds, and what is said of everything that is no picture."""

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from lightning_nsd.commands.sample import read_support
from lightning_nsd.demo import field
from lightning_nsd.demo.field import read_field, write_field
from lightning_nsd.demo.support import support_set
from lightning_nsd.errors import UserError
from tests.demo.conftest import drawn, png, url


def test_a_field_gives_back_the_bytes_that_were_put_in() -> None:
    picture = drawn()
    data = read_field(write_field(picture), "Picture 1")
    assert data is not None
    assert Image.open(io.BytesIO(data)).tobytes() == picture.tobytes()
    assert read_field("", "Picture 1") is None and read_field(None, "Picture 1") is None


@pytest.mark.parametrize("text", [3, ["x"], "http://example.org/a.png", "data:image/png;base64,ä", "/etc/passwd"])
def test_what_is_no_data_url_is_refused(text: object) -> None:
    with pytest.raises(UserError, match="Picture 2 holds no picture"):
        read_field(text, "Picture 2")


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field, "MAX_BYTES", 1_000_000)
    assert read_field(url(bytes(1_000_000)), "Picture 1") == bytes(1_000_000)
    with pytest.raises(UserError, match="Picture 1 is larger than 1 MB"):
        read_field(url(bytes(1_000_003)), "Picture 1")


def test_photographs_are_what_sample_makes_of_a_folder(photographs: list[bytes], tmp_path: Path) -> None:
    for number, data in enumerate(photographs):
        (tmp_path / f"{number}.png").write_bytes(data)
    for channels in (1, 3):
        found = support_set(list(map(url, photographs)), "photographs", 8, channels)
        assert torch.equal(found, read_support(tmp_path, 8, channels))


def test_fields_keep_their_order_and_empty_ones_are_left_out() -> None:
    wide, tall = url(png(drawn((5, 50, 250, 90)))), url(png(drawn((50, 5, 90, 250))))
    both = support_set(["", wide, "", tall, ""], "letters", 16, 1)
    assert both.shape == (2, 1, 16, 16)
    assert torch.equal(both[:1], support_set([wide], "letters", 16, 1))
    assert torch.equal(both[1:], support_set([tall], "letters", 16, 1))
    assert not torch.equal(both[0], both[1])


def test_letters_of_a_colour_model_have_three_equal_channels(five: list[str]) -> None:
    found = support_set(five, "letters", 16, 3)
    assert found.shape == (5, 3, 16, 16)
    assert torch.equal(found[:, :1].expand(-1, 3, -1, -1), found)


@pytest.mark.parametrize("kind", ["letters", "photographs"])
@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"%!PS-Adobe", png(drawn())[:200]], ids=["empty", "text", "ps", "cut"]
)
def test_a_file_that_is_no_picture_is_named(kind, data: bytes, five: list[str]) -> None:
    with pytest.raises(UserError, match=r"^Picture 2 is no image that can be read"):
        support_set([five[0], url(data) if data else "data:,", *five[2:]], kind, 16, 1)


def test_a_blank_drawing_is_named(five: list[str]) -> None:
    blank = url(png(Image.new("L", (280, 280), 255)))
    with pytest.raises(UserError, match=r"^Picture 3 is blank"):
        support_set([*five[:2], blank, *five[3:]], "letters", 16, 1)


@pytest.mark.parametrize("fields", [[], ["", ""], [None]])
def test_empty_fields_are_said(fields: list[object]) -> None:
    with pytest.raises(UserError, match="All fields are empty"):
        support_set(fields, "letters", 16, 1)
