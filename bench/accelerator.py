"""One command on a machine with a card: is it right, how fast is it, and what does it draw after training?

    python bench/accelerator.py --minutes 9 --root data/cifar100 --output runs/card
    python bench/accelerator.py --minutes 9 --root data/cifar100 --output runs/card --resume
    python bench/accelerator.py --device cpu --minutes 2 --config glyphs.yaml

First the card's float32 is held against the CPU's (output, loss and gradients, samples). Then the step of every config
is timed, in float32, TensorFloat-32 and bfloat16, eager and compiled, with its memory and its fraction of the card's
peak. In the time that is left `cifar100.yaml` and `cifar100_unet.yaml` are trained, and unseen classes are drawn and
judged. `report.html` and `report.json` hold what there is so far; the same command with --resume goes on. No network is
needed: --root names the data, and the extractor's weights are a package.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from card import parity, report, steps, training
from card.plan import Deadline, Findings, Plan
from tqdm import tqdm

from lightning_nsd.errors import UserError
from lightning_nsd.runs.machine import device_name, versions

CONFIGS = ["cifar100.yaml", "cifar100_unet.yaml", "cifar100_small.yaml", "cifar100_g3.yaml", "cifar100_crossattn.yaml"]
TRAINED = CONFIGS[:2]
MEASURED, AFTER_TRAINING = 0.45, 0.8
"""Parts of a piece after which no step is measured, and no run is trained any more."""


def about(device: torch.device) -> dict[str, Any]:
    """The machine and the versions."""
    return {"device": device_name(device), **versions()}


def main(given: Sequence[str] | None = None) -> int:
    """Do one piece; 1 where the device is not right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="of this piece")
    parser.add_argument("--output", type=Path, default=Path("runs/card"))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--config", nargs="+", help="instead of the shipped ones; all of them are trained")
    parser.add_argument("--root", help="folder or zip of the data, instead of what the configs say")
    parser.add_argument("--extractor", default="efficientnet_lite0", help="whose distances are computed")
    parser.add_argument("--resume", action="store_true", help="go on in a folder that holds a report")
    arguments = parser.parse_args(given)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here; --device cpu runs the same on the processor")
    device = torch.device(arguments.device)
    plan = Plan(
        device=device,
        configs=arguments.config or CONFIGS,
        trained=arguments.config or TRAINED,
        root=None if arguments.root is None else str(Path(arguments.root).resolve()),
        extractor=arguments.extractor,
        out=arguments.output.resolve(),
        deadline=Deadline(arguments.minutes),
    )
    try:
        findings = Findings(plan.out, about(device), arguments.resume)
    except UserError as error:
        parser.error(str(error))
    for config in tqdm([config for config in plan.trained if config not in findings.found["parity"]], desc="parity"):
        findings.add("parity", config, parity.check(config, device))
    steps.measure(plan, findings, MEASURED)
    training.train(plan, findings, AFTER_TRAINING)
    training.look(plan, findings)
    print(f"Report: {report.write_report(plan, findings)}")
    return int(not all(one["passed"] for rungs in findings.found["parity"].values() for one in rungs.values()))


if __name__ == "__main__":
    raise SystemExit(main())
