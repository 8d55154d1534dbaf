"""One small valid checkpoint, what can be wrong with a copy of it, and what readers say about that."""

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from lightning_nsd.cli import main
from lightning_nsd.errors import UserError
from tests.cli.conftest import TINY
from tests.hostile.answer import LONGEST, PYTHON_TALK

Content = dict[str, Any]
Change = Callable[[Content], Any]
DELETED = object()
JUNK: dict[str, Any] = {
    "null": None, "text": "x", "list": [], "dict": {}, "list_of_null": [None], "negative": -1, "huge": 10**30,
    "tensor": torch.zeros(2), "fraction": 2.5, "nan": float("nan"), "deleted": DELETED,
}  # fmt: skip
FIT = [
    *TINY, "--trainer.limit_val_batches=0", "--trainer.num_sanity_val_steps=0", "--fid.when=never",
    "--model.encoder.channel_multipliers=[1]", "--model.denoiser.channel_multipliers=[1]",
    "--model.denoiser.attention_resolutions=[]",
]  # fmt: skip


def make(root: Path) -> Path:
    """A checkpoint of a run of two steps."""
    assert main(["fit", *FIT, "--trainer.max_steps=2", f"--trainer.default_root_dir={root}"]) == 0
    return root / "last.ckpt"


def parts(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in nested dicts and lists."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from parts(value, (*path, key))


def put(content: Content, path: tuple[Any, ...], value: Any) -> Content:
    """A copy with one part replaced."""
    changed = copy.deepcopy(content)
    at: Any = changed
    for key in path[:-1]:
        at = at[key]
    if value is DELETED:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return changed


class Runs:
    """Unpickled without care, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def of_another_kind(content: Content) -> dict[str, Any]:
    """Contents of a file, by what is wrong with them as a whole."""
    state = content["state_dict"]
    first = next(iter(state))
    average = {key: value for key, value in state.items() if key.startswith("ema.")}
    plain = {key: value for key, value in state.items() if key.startswith("model.")}
    shaped = next(key for key, value in plain.items() if value.dim() > 1)
    within: dict[str, Any] = copy.deepcopy(content)
    within["callbacks"]["itself"] = within
    unfolding: list[Any] = [0]
    for _ in range(60):
        unfolding = [unfolding, unfolding]
    deep: list[Any] = []
    for _ in range(400):
        deep = [deep]

    def with_weight(value: Any, key: str = shaped) -> Content:
        return {**content, "state_dict": {**state, key: value}}

    return {
        "a list": [1, 2], "a tensor": torch.zeros(3), "null": None, "empty": {}, "text": "checkpoint",
        "weights alone": state, "no moving average": {**content, "state_dict": plain},
        "the average alone": {**content, "state_dict": average},
        "a weight too many": with_weight(torch.zeros(2), "model.surprise"),
        "another's weight": with_weight(torch.zeros(2), "surprise"),
        "half the weights": {**content, "state_dict": dict(list(state.items())[: len(state) // 3])},
        "a weight that is text": with_weight("x"), "a weight that is null": with_weight(None),
        "a weight that is a list": with_weight([1.0]), "a weight that is a number": with_weight(1.0),
        "a number as key": {**content, "state_dict": {**state, 3: state[first]}},
        "number as top key": {**content, 3: 4},
        "sparse": with_weight(torch.ones(2, 2).to_sparse()),
        "meta": with_weight(torch.empty_like(state[shaped], device="meta")),
        "whole numbers": with_weight(state[shaped].long()),
        "complex": with_weight(state[shaped].to(torch.complex64)),
        "quantised": with_weight(torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)),
        "mis-shaped": with_weight(state[shaped][:1]),
        "other shapes": {
            **content, "state_dict": {k: torch.zeros(3, 3) if k[k.index(".") :] == shaped[5:] else v
                                      for k, v in state.items()},
        },
        "more elements than stored": with_weight(torch.zeros(1).expand(10**6, 10**6)),
        "bytes": {**content, "callbacks": {"a": b"x"}}, "a set": {**content, "callbacks": {"a": {1, 2}}},
        "within itself": within, "unfolding": {**content, "callbacks": {"a": unfolding}},
        "deep": {**content, "callbacks": {"a": deep}},
        "long text": {**content, "callbacks": {"a": "x" * 10**6}},
        "version": {**content, "pytorch-lightning_version": "nine"},
        "two optimisers": {**content, "optimizer_states": content["optimizer_states"] * 2},
    }  # fmt: skip


def damaged(data: bytes) -> dict[str, bytes]:
    """Bytes of files that are no checkpoint at all, or not all of one."""
    return {
        "nothing": b"", "one byte": b"\0", "text": b"hello" * 100, "half": data[: len(data) // 2],
        "without its end": data[:-30], "without its start": data[100:], "an empty archive": b"PK\5\6" + b"\0" * 18,
        "a pickle": pickle.dumps({"state_dict": {}}), "an old format": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
        "opcodes": bytes(range(256)) * 20, "twice": data + data,
    }  # fmt: skip


def write(content: Any, path: Path) -> Path:
    """A checkpoint's file."""
    torch.save(content, path)
    return path


def refusal(read: Callable[[Path], object], path: Path) -> str:
    """What a reader says about a file; empty where it takes it."""
    said = ""
    try:
        read(path)
    except UserError as error:
        said = str(error)
    assert len(said) <= LONGEST
    assert not PYTHON_TALK.search(said), said
    assert not said or str(path) in said
    return said
