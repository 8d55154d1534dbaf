import collections
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightning_nsd.data.safe_pickle import read_pickle
from lightning_nsd.errors import UserError

VALUES = {
    "images": np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big_endian": np.arange(3, dtype=">i4"),
    "empty": np.zeros((0, 3), np.int64),
    "words": np.array(["ab", "c"]),
    "scalar": np.float32(1.5),
    "bytes": b"\xff\x00",
    "plain": [1, 2.5, None, True, ("a", {"b"}), collections.OrderedDict(c=3)],
}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


class RunsCommand:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("core", [b"numpy._core.", b"numpy.core."], ids=["numpy2", "numpy1"])
def test_arrays_and_containers_are_read_as_they_were_written(protocol: int, core: bytes, tmp_path: Path) -> None:
    content = pickle.dumps(VALUES, protocol=protocol)
    for name in (b"numpy._core.multiarray", b"numpy._core.numeric"):  # a protocol-4 name is preceded by its length
        other = name.replace(b"numpy._core.", core)
        content = content.replace(bytes([len(name)]) + name, bytes([len(other)]) + other)
        content = content.replace(b"c" + name + b"\n", b"c" + other + b"\n")
    assert (core in content) and (core == b"numpy._core." or b"numpy._core." not in content)
    # frames of protocol 4 and above tell their length, which the shorter name changes
    if protocol >= 4:
        assert content[2:3] == pickle.FRAME
        content = content[:3] + struct.pack("<Q", len(content) - 11) + content[11:]

    read = read_pickle(written(tmp_path / "a.pkl", content))

    assert list(read) == list(VALUES)
    expected = pickle.loads(pickle.dumps(VALUES, protocol=protocol))
    for key in ("images", "fortran", "big_endian", "empty", "words"):
        np.testing.assert_array_equal(expected[key], VALUES[key])
        np.testing.assert_array_equal(np.asarray(read[key]), expected[key], strict=True)
    for key in ("scalar", "bytes", "plain"):
        assert read[key] == expected[key] and type(read[key]) is type(expected[key])


def test_strings_and_arrays_of_python_2_are_read_as_latin1(tmp_path: Path) -> None:
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02K\x02\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x04\x00\x7f\x80\xfftb"
    )
    content = b"\x80\x02}(U\x04data" + array + b"U\x04nameU\x02a\xe9u."

    read = read_pickle(written(tmp_path / "train", content))

    np.testing.assert_array_equal(read["data"], np.array([[0, 127], [128, 255]], np.uint8), strict=True)
    assert read["name"] == "aé"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_that_wants_to_run_code_is_refused_and_nothing_runs(protocol: int, tmp_path: Path) -> None:
    target = tmp_path / "made_by_the_pickle"
    path = written(tmp_path / "evil.pkl", pickle.dumps({"cat": RunsCommand(target)}, protocol=protocol))
    with pytest.raises(UserError, match=r"evil\.pkl.*(posix|nt)\.mkdir.*could run code"):
        read_pickle(path)
    assert not target.exists()
    pickle.loads(path.read_bytes())
    assert target.exists(), "the pickle is harmless: the test proves nothing"


@pytest.mark.parametrize(
    "name", ["builtins\neval", "builtins\ngetattr", "numpy\nload", "numpy\nfromfile", "os\nsystem"]
)
def test_name_off_the_list_is_refused(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.pkl", b"c" + name.encode() + b"\n.")
    with pytest.raises(UserError, match=name.replace("\n", r"\.")):
        read_pickle(path)


def test_array_of_objects_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pkl", pickle.dumps(np.array([{}, None], dtype=object)))
    with pytest.raises(UserError, match=r"a\.pkl.*dtype 'O8'"):
        read_pickle(path)


def test_flags_of_a_forged_dtype_are_not_believed(tmp_path: Path) -> None:
    content = pickle.dumps(np.arange(8, dtype=np.uint64), protocol=2)
    flags = content.index(b"K\x00t")
    forged = content[:flags] + b"K\x3f" + content[flags + 2 :]  # every flag: holds objects, counts references, …

    read = read_pickle(written(tmp_path / "a.pkl", forged))

    assert read.dtype == np.uint64 and not read.dtype.hasobject and read.dtype.flags == 0
    np.testing.assert_array_equal(read, np.arange(8, dtype=np.uint64))


@pytest.mark.parametrize("shape", [(3, 5), (-1, 16), (2**32, 2**32)])
def test_shape_that_does_not_fit_its_bytes_is_refused(shape: tuple, tmp_path: Path) -> None:
    class Forged:
        def __reduce__(self) -> tuple:
            reduced: Any = np.arange(16, dtype=np.uint8).__reduce__()
            function, arguments, state = reduced
            return function, arguments, (state[0], shape, *state[2:])

    path = written(tmp_path / "a.pkl", pickle.dumps(Forged(), protocol=4))
    with pytest.raises(UserError, match="an array of shape"):
        read_pickle(path)


@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_truncated_file_names_its_path(kept: int, tmp_path: Path) -> None:
    content = pickle.dumps(VALUES)
    with pytest.raises(UserError, match=r"half\.pkl.*cut short"):
        read_pickle(written(tmp_path / "half.pkl", content[:kept]))


def test_missing_file_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.pkl"):
        read_pickle(tmp_path / "nowhere.pkl")
