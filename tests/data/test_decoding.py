import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from lightning_nsd.data import decoding
from lightning_nsd.data.decoding import (
    decode_classes,
    decode_image,
    decode_whole,
    read_classes,
    read_image_set,
    resize_arrays,
)
from lightning_nsd.data.image_tree import ImageTree
from lightning_nsd.errors import UserError


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_images_of_the_right_size_keep_every_pixel(tmp_path: Path, write_image) -> None:
    pixels = {(c, i): write_image(tmp_path / c / f"{i}.png", seed=10 * i + ord(c)) for c in "ab" for i in range(3)}
    classes = decode_classes(ImageTree.of_folder(tmp_path, depth=1), image_size=8, channels=3)
    assert list(classes) == ["a", "b"]
    for c in "ab":
        expected = np.stack([pixels[c, i] for i in range(3)]).transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(classes[c].numpy(), expected, strict=True)


def test_more_files_than_one_task_takes_stay_in_order(tmp_path: Path, write_image, monkeypatch) -> None:
    monkeypatch.setattr(decoding, "_FILES_PER_TASK", 3)
    expected = [write_image(tmp_path / "a" / f"{i:02}.png", seed=i, grey=True) for i in range(11)]
    classes = decode_classes(ImageTree.of_folder(tmp_path, depth=1), image_size=8, channels=1)
    np.testing.assert_array_equal(classes["a"][:, 0].numpy(), np.stack(expected))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "GIF", "WEBP", "JPEG"])
def test_every_format_is_decoded(kind: str) -> None:
    colour = (255, 0, 0)
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels, has_colour = decode_image(encoded(Image.new("RGB", (6, 6), colour), kind, **options), 6, 3)
    assert pixels.shape == (3, 6, 6) and has_colour
    np.testing.assert_allclose(pixels.mean((1, 2)), colour, atol=2)


def test_middle_square_is_kept_and_averaged_when_it_shrinks() -> None:
    image = np.zeros((8, 16), np.uint8)
    image[:, 4:12] = np.indices((8, 8)).sum(0) % 2 * 200  # a chessboard between black sides
    pixels, _ = decode_image(encoded(Image.fromarray(image)), 2, 1)
    np.testing.assert_allclose(pixels, 100, atol=10)


def test_a_whole_picture_keeps_its_size_and_colour_and_stands_on_the_paper_that_is_asked_for() -> None:
    grey = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    assert decode_whole(encoded(grey)).tobytes() == grey.tobytes()
    half = Image.new("RGBA", (3, 2), (255, 0, 0, 0))
    half.putpixel((0, 0), (255, 0, 0, 255))
    for paper, colour in (("white", (255, 255, 255)), ("black", (0, 0, 0))):
        found = decode_whole(encoded(half), paper)
        assert found.size == (3, 2) and found.getpixel((0, 0)) == (255, 0, 0) and found.getpixel((2, 1)) == colour


@pytest.mark.parametrize("size", [4, 12, 20])
def test_arrays_are_resized_as_files_are(size: int) -> None:
    arrays = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    decoded = [decode_image(encoded(Image.fromarray(pixels)), size, 3)[0] for pixels in arrays]
    np.testing.assert_array_equal(resize_arrays(arrays, size).numpy(), np.stack(decoded), strict=True)


def test_an_image_set_is_what_the_classes_of_a_tree_are(tmp_path: Path, write_image) -> None:
    for i, path in enumerate(("b/1.png", "a/1.png", "a/2.png")):
        write_image(tmp_path / path, seed=i)
    tree = ImageTree.of_folder(tmp_path, depth=1)
    classes, image_set = read_classes(tree, 8, 3), read_image_set(tree, 8, 3)
    assert image_set.class_names == ("a", "b") and image_set.counts.tolist() == [2, 1]
    assert all(torch.equal(image_set.of_class(i), images) for i, images in enumerate(classes.values()))


def test_large_jpeg_is_decoded_at_a_part_of_its_size_and_looks_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.meshgrid(*2 * [np.linspace(0, 9, 640)])
    waves = np.stack([128 + 100 * np.sin(x + i) * np.cos(y - i) for i in range(3)], axis=2).astype(np.uint8)
    data = encoded(Image.fromarray(waves), "JPEG", quality=95)
    opened: list[Image.Image] = []
    opaque = decoding._opaque
    monkeypatch.setattr(decoding, "_opaque", lambda image, paper: opened.append(image) or opaque(image, paper))
    reduced, _ = decode_image(data, 16, 3)
    monkeypatch.setattr(JpegImageFile, "draft", lambda *_: None)
    whole, _ = decode_image(data, 16, 3)
    assert [image.size for image in opened] == [(80, 80), (640, 640)]
    np.testing.assert_allclose(reduced.astype(int), whole.astype(int), atol=2)


def test_only_the_named_formats_are_opened_whatever_a_file_is_called(tmp_path: Path) -> None:
    for kind in ("EPS", "TIFF", "ICO"):
        with pytest.raises(OSError, match="cannot identify"):
            decode_image(encoded(Image.new("RGB", (16, 16)), kind), 16, 3)


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("L", (4, 4), value) for value in (200, 10)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_image(data, 4, 1)[0], 200)


def test_transparent_parts_become_white() -> None:
    half_black = Image.new("RGBA", (4, 4), (0, 0, 0, 255))
    half_black.paste((90, 0, 0, 0), (0, 0, 2, 4))
    pixels, has_colour = decode_image(encoded(half_black), 4, 3)
    assert (pixels[:, :, :2] == 255).all() and (pixels[:, :, 2:] == 0).all() and not has_colour


def test_palette_is_looked_up() -> None:
    image = Image.new("RGB", (4, 4), (10, 200, 30)).quantize(4)
    assert image.mode == "P"
    np.testing.assert_array_equal(decode_image(encoded(image), 4, 3)[0][:, 0, 0], (10, 200, 30))


def test_16_bit_grey_keeps_its_upper_bits() -> None:
    image = Image.fromarray(np.full((4, 4), 0x80FF, np.uint16))
    np.testing.assert_array_equal(decode_image(encoded(image), 4, 1)[0], 0x80)


def test_photo_is_turned_as_the_camera_noted() -> None:
    image = Image.fromarray(np.repeat(np.array([[0], [255]], np.uint8), 2, axis=1))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    np.testing.assert_array_equal(decode_image(encoded(image, exif=exif), 2, 1)[0][0, :, 0], (255, 0))


@pytest.mark.parametrize("content", [b"no image", b"", "truncated"])
def test_broken_image_names_its_path(content: bytes | str, tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "a/1.png")
    write_image(tmp_path / "a/2.png")
    path = tmp_path / "a/2.png"
    path.write_bytes(path.read_bytes()[:120] if isinstance(content, str) else content)
    with pytest.raises(UserError, match=str(path)):
        decode_classes(ImageTree.of_folder(tmp_path, depth=1), 8, 3)


def test_colour_image_where_grey_is_configured_is_refused_by_name(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "a/1.png", grey=True)
    write_image(tmp_path / "b/2.png")
    with pytest.raises(UserError, match=r"b/2\.png.*data\.channels=3.*convert_colour"):
        decode_classes(ImageTree.of_folder(tmp_path, depth=1), 8, 1)


def test_grey_images_only_where_rgb_is_configured_are_refused_by_name(tmp_path: Path, write_image) -> None:
    for i in range(2):
        write_image(tmp_path / f"a/{i}.png", grey=True)
    with pytest.raises(UserError, match=r"a/0\.png.*data\.channels=1.*convert_colour"):
        decode_classes(ImageTree.of_folder(tmp_path, depth=1), 8, 3)


def test_some_grey_images_among_colour_ones_are_welcome(tmp_path: Path, write_image) -> None:
    grey = write_image(tmp_path / "a/0.png", grey=True)
    write_image(tmp_path / "a/1.png")
    images = decode_classes(ImageTree.of_folder(tmp_path, depth=1), 8, 3)["a"]
    np.testing.assert_array_equal(images[0].numpy(), np.stack([grey] * 3))


def test_images_are_converted_on_request(tmp_path: Path, write_image) -> None:
    pixels = write_image(tmp_path / "a/1.png")
    (grey,) = decode_classes(ImageTree.of_folder(tmp_path, depth=1), 8, 1, convert_colour=True)["a"]
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[0].numpy(), luma, atol=1)


def count_decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    decode = decoding.decode_image

    def counting(data: bytes, *rest: int) -> tuple[np.ndarray, bool]:
        sizes.append(len(data))
        return decode(data, *rest)

    monkeypatch.setattr(decoding, "decode_image", counting)
    return sizes


def test_second_start_decodes_nothing_until_an_image_changes(tmp_path: Path, write_image, monkeypatch) -> None:
    for i in range(3):
        write_image(tmp_path / f"a/{i}.png", seed=i)
    decoded = count_decodes(monkeypatch)

    def read() -> torch.Tensor:
        return read_classes(ImageTree.of_folder(tmp_path, depth=1), 8, 3)["a"]

    first = read()
    assert torch.equal(read(), first) and len(decoded) == 3
    changed = write_image(tmp_path / "a/1.png", seed=7)
    second = read()
    assert len(decoded) == 6
    np.testing.assert_array_equal(second[1].numpy(), changed.transpose(2, 0, 1))
    assert torch.equal(second[0], first[0])


def test_converted_images_are_not_served_where_colour_is_checked(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "a/1.png")
    tree = ImageTree.of_folder(tmp_path, depth=1)
    read_classes(tree, 8, 1, convert_colour=True)
    with pytest.raises(UserError, match="colour image"):
        read_classes(tree, 8, 1)
