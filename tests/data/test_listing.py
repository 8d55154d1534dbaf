from pathlib import Path

import pytest

from lightning_nsd.data.listing import check_listed, read_pairs
from lightning_nsd.errors import UserError


def listing(folder: Path, text: str) -> Path:
    path = folder / "list.txt"
    path.write_bytes(text.encode("latin1"))
    return path


def test_pairs_come_in_the_order_of_the_lines_however_these_end(tmp_path: Path) -> None:
    pairs = read_pairs(listing(tmp_path, "b 1\r\na  2 \nc\t1"))
    assert list(pairs.items()) == [("b", "1"), ("a", "2"), ("c", "1")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a 1\n\nb 2", "line 2 holds 0 words"),
        ("a 1\nb", "line 2 holds 1 words"),
        ("a 1 2", "line 1 holds 3 words"),
        ("a 1\na 2", "line 2 names a again"),
        ("caf\xe9 1", "is no text file"),
    ],
)
def test_what_is_no_list_of_pairs_is_refused_by_its_line(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"list\.txt.*{words}"):
        read_pairs(listing(tmp_path, text))


def test_a_list_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"list\.txt cannot be read"):
        read_pairs(tmp_path / "list.txt")


def test_images_and_their_list_have_to_fit() -> None:
    path, folder = Path("list.txt"), Path("images")
    check_listed(path, ["a", "b"], folder, ["b", "a"])
    with pytest.raises(UserError, match=r"2 of the 3 images that list\.txt lists are not in images, such as a"):
        check_listed(path, ["c", "b", "a"], folder, ["c"])
    with pytest.raises(UserError, match=r"list\.txt does not list 1 of the 2 images in images, such as a"):
        check_listed(path, ["b"], folder, ["b", "a"])
