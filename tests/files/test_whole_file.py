"""A file is whole or not there; another name of one is given in one step."""

import errno
import os
from pathlib import Path

import pytest

from lightning_nsd.files.whole_file import link_atomically, unfinished, whole_file, write_text


def test_what_fails_leaves_the_earlier_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "a", "first")

    def fail():
        with whole_file(tmp_path / "a") as file:
            file.write(b"half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert (tmp_path / "a").read_text() == "first"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_until_the_end_the_earlier_file_is_there(tmp_path):
    write_text(tmp_path / "a", "first")
    with whole_file(tmp_path / "a") as file:
        file.write(b"second")
        file.flush()
        assert (tmp_path / "a").read_text() == "first"
        assert unfinished(tmp_path, "a") == [Path(file.name)]
    assert (tmp_path / "a").read_text() == "second"


@pytest.mark.parametrize("links", [True, False])
def test_a_second_name_takes_the_place_of_what_had_it(links, tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if not links:
        monkeypatch.setattr(os, "link", unsupported)
    (tmp_path / "new").write_text("new")
    (tmp_path / "name").write_text("old")
    for _ in range(2):
        link_atomically(tmp_path / "new", tmp_path / "name")
        assert (tmp_path / "name").read_text() == "new"
        assert os.path.samefile(tmp_path / "new", tmp_path / "name") == links
        assert {path.name for path in tmp_path.iterdir()} == {"new", "name"}
