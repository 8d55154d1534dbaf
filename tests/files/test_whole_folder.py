"""A folder is whole or not there, and the earlier one is kept until the new one is, whenever a process is killed."""

import os
import time
from pathlib import Path
from threading import Thread

import pytest

from lightning_nsd.files.whole_file import temporary_name
from lightning_nsd.files.whole_folder import find_folder, whole_folder


def write(path: Path, text: str) -> None:
    with whole_folder(path) as made:
        (made / "inner").mkdir(parents=True)
        (made / "inner" / "a").write_text(text)


def text_in(path: Path) -> str:
    return (find_folder(path) / "inner" / "a").read_text()


def test_a_folder_is_written_and_replaced_and_nothing_else_is_left(tmp_path):
    for text in ("first", "second"):
        write(tmp_path / "sub" / "x", text)
        assert text_in(tmp_path / "sub" / "x") == text
        assert [path.name for path in (tmp_path / "sub").iterdir()] == ["x"]


def test_what_fails_leaves_the_earlier_folder_and_nothing_else(tmp_path):
    write(tmp_path / "x", "first")

    def fail():
        with whole_folder(tmp_path / "x") as made:
            made.mkdir()
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert text_in(tmp_path / "x") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_folder_that_was_never_made_leaves_the_earlier_one(tmp_path):
    write(tmp_path / "x", "first")
    with pytest.raises(FileNotFoundError), whole_folder(tmp_path / "x"):
        pass
    assert text_in(tmp_path / "x") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_process_of_the_same_number_left_is_no_obstacle(tmp_path):
    (temporary_name(tmp_path / "x") / "x").mkdir(parents=True)
    write(tmp_path / "x", "new")
    assert text_in(tmp_path / "x") == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_threads_of_a_failed_writer_make_afterwards_is_gone_too(tmp_path):
    def write_on(folder: Path) -> None:
        for number in range(20):
            (folder / str(number)).mkdir(parents=True, exist_ok=True)
            time.sleep(0.005)

    def fail():
        with whole_folder(tmp_path / "x") as made:
            threads.append(Thread(target=write_on, args=[made]))
            threads[0].start()
            raise OSError("full")

    threads: list[Thread] = []
    with pytest.raises(OSError, match="full"):
        fail()
    threads[0].join()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("renames", range(3))
def test_a_kill_at_any_moment_leaves_the_earlier_or_the_new_folder_whole(renames, tmp_path):
    """Killed after so many of its renames, then read, then written and read again."""
    path = tmp_path / "x"
    write(path, "first")
    child = os.fork()
    if child == 0:
        rename, left = Path.rename, [renames]

        def rename_or_die(source: Path, target: Path) -> Path:
            if not left[0]:
                os._exit(9)
            left[0] -= 1
            return rename(source, target)

        Path.rename = rename_or_die
        write(path, "second")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert text_in(path) == ("second" if renames == 2 else "first")
    write(path, "third")
    assert text_in(path) == "third"
    assert find_folder(path) == path
    assert not (tmp_path / ".x.earlier").exists()


def test_a_folder_that_never_was_is_looked_for_under_its_own_name(tmp_path):
    assert find_folder(tmp_path / "x") == tmp_path / "x"
