"""Reading pickles of arrays that may come from anywhere.

A pickle is a program. The unpickler here knows a handful of names, and what stands behind them is written in
this file: neither NumPy's own unpickling nor any constructor that a file could call with values of its choice is
within reach. (NumPy's `dtype.__setstate__` believes the flags that it is given, so that a forged dtype may make
pointers of a file's bytes; allowing `numpy.dtype` itself would therefore not be enough.)

Nor does a small file fill the memory or run for ever: Python's own unpickler is used in place of C's, whose memo grows
to any number that a file names, and keys are plain values, because the hash of nested tuples takes time that doubles
with each level, or overflows the stack.
"""

import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lightning_nsd.data.regular_file import open_regular
from lightning_nsd.errors import UserError


class _RefusedError(Exception):
    """A pickle wants something that is not on the list."""


class _DamagedError(Exception):
    """Parts of a pickle do not fit together."""


_NUMERIC = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|[SU][1-9]\d{0,5})")
_MAX_NAME = 100  # characters of a name that are repeated to the user


class _DType:
    """A dtype as pickled: `dtype("u1", False, True)` followed by a state, of which only the byte order is used."""

    def __init__(self, code: str, *_align_and_copy: object) -> None:
        if not isinstance(code, str) or not _NUMERIC.fullmatch(code):
            what = repr(code[:_MAX_NAME]) if isinstance(code, str) else "of another kind"
            raise _RefusedError(f"the pickle holds an array of dtype {what} (O: Python objects)")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that takes its state from a pickle only after the bytes have been counted."""

    def __setstate__(self, state: tuple) -> None:
        _version, shape, pickled, fortran_order, raw = state
        data = _as_bytes(raw)
        if math.prod(_checked(shape)) * pickled.dtype.itemsize != len(data):
            raise _DamagedError(f"an array of shape {shape} does not have {len(data)} bytes")
        checked: Any = (1, shape, pickled.dtype, bool(fortran_order), data)
        super().__setstate__(checked)


def _as_bytes(raw: object) -> bytes:
    """Python 2's strings come as text of the code points 0 to 255 (encoding="latin1")."""
    if isinstance(raw, str):
        return raw.encode("latin1")
    if isinstance(raw, bytes | bytearray):
        return bytes(raw)  # of a number n they would be n zeros
    raise _DamagedError(f"a {type(raw).__name__} in place of bytes")


def _checked(shape: tuple) -> tuple:
    is_shape = isinstance(shape, tuple) and len(shape) <= 32
    if not is_shape or not all(isinstance(n, int) and 0 <= n < 2**63 for n in shape):
        raise _DamagedError("an array of shape that is none")
    return shape


def _reconstruct(*_class_shape_and_kind: object) -> _Array:
    """An empty array, whose contents follow in its state."""
    return _Array((0,), np.uint8)


def _from_buffer(data: object, pickled: _DType, shape: tuple, order: str) -> np.ndarray:
    """Protocol 5's arrays."""
    flat = np.frombuffer(_as_bytes(data), pickled.dtype)
    return flat.reshape(_checked(shape), order="F" if order == "F" else "C").copy()


def _scalar(pickled: _DType, data: object) -> Any:
    return np.frombuffer(_as_bytes(data), pickled.dtype)[0]


def _encode(text: str, _encoding: str) -> bytes:
    """Python 3 writes bytes so in protocols 0 to 2, always as latin1."""
    return text.encode("latin1")


def _bytes(*raw_and_encoding: object) -> bytes:
    return _as_bytes(raw_and_encoding[0]) if raw_and_encoding else b""


def _byte_array(*raw_and_encoding: object) -> bytearray:
    return bytearray(_bytes(*raw_and_encoding))


def _set(items: list) -> set:
    return set(_plain(items))


def _frozen_set(items: list) -> frozenset:
    return frozenset(_plain(items))


def _ordered_dict(pairs: Iterable = ()) -> OrderedDict:
    """Python 2 gives the pairs at once, Python 3 one after another."""
    keys_and_values = [(key, value) for key, value in pairs]
    _plain(key for key, _ in keys_and_values)
    return OrderedDict(keys_and_values)


def _plain(keys: Iterable[Any]) -> list[Any]:
    """Keys of a dict or members of a set, whose hash takes no time to speak of."""
    found = list(keys)
    for key in found:
        if not isinstance(key, str | bytes | int | float | complex | np.generic | None):
            raise _DamagedError(f"a {type(key).__name__} is a key")
    return found


_NUMPY_1_AND_2: dict[str, object] = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _from_buffer,
}
_BUILTINS: dict[str, object] = {"set": _set, "frozenset": _frozen_set, "bytes": _bytes, "bytearray": _byte_array}
_ALLOWED: dict[str, object] = {
    **{f"numpy.{core}.{name}": value for core in ("core", "_core") for name, value in _NUMPY_1_AND_2.items()},
    "numpy.dtype": _DType,
    "numpy.ndarray": "numpy.ndarray",  # stands as an argument of _reconstruct only, and so need not be callable
    "_codecs.encode": _encode,
    "collections.OrderedDict": _ordered_dict,
    **{f"{module}.{name}": value for module in ("builtins", "__builtin__") for name, value in _BUILTINS.items()},
}


class _Unpickler(pickle._Unpickler):
    """Python's own, with the operations checked that hash values or set attributes."""

    stack: list[Any]  # since the last mark
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}"
        if full_name not in _ALLOWED:
            raise _RefusedError(f"the pickle asks for {full_name[:_MAX_NAME]}, which could run code")
        return _ALLOWED[full_name]


def _check_first(operation: bytes, check: Callable[[list[Any]], object]) -> None:
    """Have an operation look at the stack before it runs."""
    run = _Unpickler.dispatch[operation[0]]

    def checked(unpickler: _Unpickler) -> None:
        check(unpickler.stack)
        run(unpickler)

    _Unpickler.dispatch[operation[0]] = checked


def _has_state(stack: list[Any]) -> None:
    if not isinstance(stack[-2], _DType | _Array):  # a function of ours, for one
        raise _DamagedError(f"a {type(stack[-2]).__name__} is to have attributes")


_check_first(pickle.BUILD, _has_state)
_check_first(pickle.SETITEM, lambda stack: _plain(stack[-2:-1]))
_check_first(pickle.SETITEMS, lambda stack: _plain(stack[::2]))
_check_first(pickle.DICT, lambda stack: _plain(stack[::2]))
_check_first(pickle.ADDITEMS, _plain)
_check_first(pickle.FROZENSET, _plain)


def read_pickle(path: Path) -> Any:
    """The plain containers and NumPy arrays of a pickle of any protocol, Python 2 or 3, NumPy 1 or 2.

    Text that Python 2 wrote is read as latin1, as torchvision does.

    Raises:
        UserError: the file is missing or no regular one, is cut short or no pickle, holds arrays of objects or keys
            that are no plain values, or asks for anything but arrays and containers (nothing is executed then).
    """
    with open_regular(path) as stream:
        try:
            return _Unpickler(stream, encoding="latin1").load()
        except _RefusedError as error:
            raise UserError(
                f"{path}: {error}. Only NumPy arrays of numbers, text, lists, tuples, sets and dicts are read; nothing "
                "of this file was used. Do not open it by other means unless you trust who made it."
            ) from error
        except Exception as error:  # a damaged or forged pickle may make the unpickler raise anything
            why = f" ({error})" if isinstance(error, _DamagedError) else ""
            raise UserError(
                f"{path}: damaged, cut short or no pickle of arrays{why}. Delete it and get it again."
            ) from error
