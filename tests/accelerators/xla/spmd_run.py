"""Trains a few steps on one XLA device or under SPMD; run in a process of its own by test_spmd."""

import json
import sys
from pathlib import Path

import torch_xla

from lightning_nsd.accelerators.xla.spmd import SPMD
from lightning_nsd.accelerators.xla.strategy import SingleXLA
from tests.accelerators.xla.test_graphs import Counts
from tests.conftest import StripedData, make_model
from tests.training.conftest import run

to_floats = StripedData.on_after_batch_transfer


def to_doubles(data, batch, dataloader_idx):
    batch = to_floats(data, batch, dataloader_idx)
    return batch._replace(images=batch.images.double())


def main(kind: str, root: str) -> None:
    """Train eight steps of four episodes in float64; write how the batch was shared out and the graphs run."""
    strategy = SingleXLA() if kind == "single" else SPMD(shard_parameters=kind == "sharded")
    counts, shardings, move = Counts(), [], strategy.batch_to_device

    def noted(*arguments, **options):
        moved = move(*arguments, **options)
        shardings.append(torch_xla._XLAC._get_xla_sharding_spec(moved.images))
        return moved

    strategy.batch_to_device = noted  # type: ignore[method-assign]
    StripedData.on_after_batch_transfer = to_doubles  # type: ignore[method-assign]
    module = make_model(ema_decay=0.9, parity=True).double()
    run(Path(root), 8, module, strategy=strategy, accelerator="auto", callbacks=[counts])
    seen = {"shardings": shardings, "executed": [c.executed for c in counts.after]}
    (Path(root) / "seen.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
