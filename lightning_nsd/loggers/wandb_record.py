"""What W&B's own record of a run, beside the run, has of it: without the network, nothing else can tell."""

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lightning_nsd.files.whole_file import whole_file

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


def files_of(folder: Path, run_id: str) -> list[Path]:
    """The files of a run, in the order of their processes.

    Args:
        folder: `wandb` in the run's folder.
        run_id: the run's.
    """
    return sorted(folder.glob(f"*run-*-{run_id}/run-{run_id}.wandb"))


def read_record(files: Iterable[Path]) -> Record:
    """What some files of one run have."""
    rows = [row for file in files for row in read_rows(file)]
    last = max((int(row["_step"]) for row in rows if "_step" in row), default=-1)
    named = [{name: value for name, value in row.items() if not name.startswith("_")} for row in rows]
    return Record(named, last + 1, {name: value for row in named for name, value in row.items()})


def read_rows(file: Path) -> Iterator[dict[str, Any]]:
    """What each call logged; the parts of a value that has some are joined again. The end may be broken off."""
    for record, _ in records(file.read_bytes()):
        row: dict[str, Any] = {}
        for item in record.history.item:
            *above, name = item.nested_key or [item.key]
            within = row
            for part in above:
                within = within.setdefault(part, {})
            within[name] = json.loads(item.value_json)
        if row:
            yield row


def mend(file: Path) -> None:
    """Make a file that a kill broke off one that `wandb sync` takes.

    It would stop at half a record, and take nothing at all beside a file that names no run, which is renamed.

    Raises:
        OSError: it cannot be written.
    """
    data = file.read_bytes()
    found = list(records(data))
    if not any(record.HasField("run") for record, _ in found):
        file.rename(file.with_name(f"{file.name}.empty"))
    elif (end := found[-1][1]) < len(data):
        with whole_file(file) as mended:
            mended.write(data[:end])


def records(data: bytes) -> Iterator[tuple[Any, int]]:
    """The records of a file in the log format of LevelDB, each with where it ends."""
    from wandb.proto import wandb_internal_pb2

    parse = wandb_internal_pb2.Record.FromString  # type: ignore[attr-defined]
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
            yield parse(record), end
            record = b""
