"""What a field of the page holds: a picture as a data URL, as a browser writes it, or nothing."""

import base64
import io

from PIL import Image

from lightning_nsd.errors import UserError

MAX_BYTES = 8_000_000
"""Of a picture's file."""
_START = "data:"


def read_field(text: object, name: str) -> bytes | None:
    """The bytes of the picture in a field; None of an empty one.

    Args:
        text: `data:…;base64,…`; what stands before the comma is not looked at.
        name: of the field, for errors.

    Raises:
        UserError: more than `MAX_BYTES`, or no data URL.
    """
    if text is None or text == "":
        return None
    if not isinstance(text, str) or not text.startswith(_START):
        raise UserError(f"{name} holds no picture.")
    encoded = text.partition(",")[2]
    if len(encoded) > (MAX_BYTES + 2) // 3 * 4:
        raise UserError(f"{name} is larger than {MAX_BYTES // 1_000_000} MB. Take a smaller one.")
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise UserError(f"{name} holds no picture.") from None


def write_field(picture: Image.Image) -> str:
    """A picture as the data URL of a PNG."""
    stream = io.BytesIO()
    picture.save(stream, format="png")
    return f"{_START}image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
