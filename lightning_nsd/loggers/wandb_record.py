"""What W&B's own record of a run, beside the run, has of it: without the network, nothing else can tell."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

BLOCK = 32768  # bytes
HEAD = struct.Struct("<IHB")  # of a piece: checksum, length, kind
WHOLE, LAST = 1, 4  # kinds that end a record; a longer one is cut into pieces
IDENTIFIER = 7  # bytes at the beginning of a file


class Record(NamedTuple):
    """What the processes of a run so far have left.

    Attributes:
        rows: what each call logged, by name, in order.
        next_row: W&B's own number of the row that comes.
        summary: the last value under every name.
    """

    rows: list[dict[str, Any]]
    next_row: int
    summary: dict[str, Any]


def read_record(folder: Path, run_id: str) -> Record | None:
    """The record of a run; None where there is no file of it, as after `wandb clean`.

    Args:
        folder: `wandb` in the run's folder.
        run_id: the run's.
    """
    files = sorted(folder.glob(f"*run-*-{run_id}/run-{run_id}.wandb"))
    rows = [row for file in files for row in read_rows(file)]
    last = max((int(row["_step"]) for row in rows if "_step" in row), default=-1)
    named = [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]
    summary = {name: value for row in named for name, value in row.items()}
    return Record(named, last + 1, summary) if files else None


def read_rows(file: Path) -> Iterator[dict[str, Any]]:
    """What each call logged; the parts of a value that has some are joined again. The end may be broken off."""
    from wandb.proto import wandb_internal_pb2

    for data in _records(file.read_bytes()):
        row: dict[str, Any] = {}
        for item in wandb_internal_pb2.Record.FromString(data).history.item:
            *above, name = item.nested_key or [item.key]
            within = row
            for part in above:
                within = within.setdefault(part, {})
            within[name] = json.loads(item.value_json)
        if row:
            yield row


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a file in the log format of LevelDB."""
    position, record = IDENTIFIER, b""
    while position + HEAD.size <= len(data):
        left = BLOCK - position % BLOCK
        if left < HEAD.size:  # too little for a head: filled up
            position += left
            continue
        _, length, kind = HEAD.unpack_from(data, position)
        end = position + HEAD.size + length
        if end > len(data) or not kind:
            return
        record += data[position + HEAD.size : end]
        position = end
        if kind in (WHOLE, LAST):
            yield record
            record = b""
