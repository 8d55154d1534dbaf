"""Reading pickles of arrays that may come from anywhere.

A pickle is a program. The unpickler here knows a handful of names, and what stands behind them is written in
this file: neither NumPy's own unpickling nor any constructor that a file could call with values of its choice is
within reach. (NumPy's `dtype.__setstate__` believes the flags that it is given, so that a forged dtype may make
pointers of a file's bytes; allowing `numpy.dtype` itself would therefore not be enough.)
"""

import math
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from lightning_nsd.data.regular_file import open_regular
from lightning_nsd.errors import UserError


class _RefusedError(Exception):
    """A pickle wants something that is not on the list."""


_NUMERIC = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|[SU]\d+)")


class _DType:
    """A dtype as pickled: `dtype("u1", False, True)` followed by a state, of which only the byte order is used."""

    def __init__(self, code: str, *_align_and_copy: object) -> None:
        if not isinstance(code, str) or not _NUMERIC.fullmatch(code):
            raise _RefusedError(f"the pickle holds an array of dtype {code!r} (O: Python objects)")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that takes its state from a pickle only after the bytes have been counted."""

    def __setstate__(self, state: tuple) -> None:
        _version, shape, pickled, fortran_order, raw = state
        # Python 2's strings come as text of the code points 0 to 255 (encoding="latin1")
        data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
        if math.prod(_checked(shape)) * pickled.dtype.itemsize != len(data):
            raise pickle.UnpicklingError(f"an array of shape {shape} does not have {len(data)} bytes")
        checked: Any = (1, shape, pickled.dtype, bool(fortran_order), data)
        super().__setstate__(checked)


def _checked(shape: tuple) -> tuple:
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise pickle.UnpicklingError(f"an array of shape {shape!r}")
    return shape


def _reconstruct(*_class_shape_and_kind: object) -> _Array:
    """An empty array, whose contents follow in its state."""
    return _Array((0,), np.uint8)


def _from_buffer(data: bytes | bytearray, pickled: _DType, shape: tuple, order: str) -> np.ndarray:
    """Protocol 5's arrays."""
    return np.frombuffer(data, pickled.dtype).reshape(_checked(shape), order="F" if order == "F" else "C").copy()


def _scalar(pickled: _DType, data: bytes | str) -> Any:
    raw = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(raw, pickled.dtype)[0]


def _encode(text: str, _encoding: str) -> bytes:
    """Python 3 writes bytes so in protocols 0 to 2, always as latin1."""
    return text.encode("latin1")


_NUMPY_1_AND_2: dict[str, object] = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
_ALLOWED: dict[str, object] = {
    **{f"numpy.{core}.{name}": value for core in ("core", "_core") for name, value in _NUMPY_1_AND_2.items()},
    "numpy.dtype": _DType,
    "numpy.ndarray": "numpy.ndarray",  # stands as an argument of _reconstruct only, and so need not be callable
    "_codecs.encode": _encode,
    "collections.OrderedDict": OrderedDict,
    **{
        f"{builtins}.{kind.__name__}": kind
        for builtins in ("builtins", "__builtin__")
        for kind in (set, frozenset, bytes, bytearray)
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}"
        if full_name not in _ALLOWED:
            raise _RefusedError(f"the pickle asks for {full_name}, which could run code")
        return _ALLOWED[full_name]


def read_pickle(path: Path) -> Any:
    """The plain containers and NumPy arrays of a pickle of any protocol, Python 2 or 3, NumPy 1 or 2.

    Text that Python 2 wrote is read as latin1, as torchvision does.

    Raises:
        UserError: the file is missing, is cut short or no pickle, holds arrays of objects, or asks for anything
            but arrays and containers (nothing is executed then).
    """
    try:
        with open_regular(path) as stream:
            return _Unpickler(stream, encoding="latin1").load()
    except _RefusedError as error:
        raise UserError(
            f"{path}: {error}. Only NumPy arrays of numbers, text, lists, tuples, sets and dicts are read; nothing of "
            "this file was used. Do not open it by other means unless you trust who made it."
        ) from error
    except UserError:
        raise
    except Exception as error:  # a damaged or forged pickle may make the unpickler raise anything
        raise UserError(
            f"{path}: damaged, cut short or no pickle of arrays ({type(error).__name__}: {error}). "
            "Delete it and get it again."
        ) from error
