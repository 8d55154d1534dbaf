"""Train in both frameworks, compare, draw: from the command line."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from parity_tests import backends
from parity_tests.command import WIDTH, positive

DESCRIPTION = """Rung 9: train one config in both frameworks from the same weights, on the same episodes and with the
same noise; and a third time in torch with every weight moved by one rounding, to see how far that grows. Writes
metrics, curves.png, samples.png and parity_run.json. Exits with 1 where a step's loss leaves the tolerance before a
rounding alone would take it there."""
CLASSES, IMAGES = 6, 2  # of samples.png: drawing in float64 takes a second for each step of the sampler


def rate(text: str) -> float:
    """A number above zero."""
    value = float(text)  # argparse names what is no number
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not above zero")
    return value


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(prog="python -m parity_tests.run", description=DESCRIPTION)
    options.add_argument("--config", default="glyphs.yaml", help="a config's path, or the name of a shipped one")
    options.add_argument("--steps", type=positive, default=500, help="optimiser steps (default: 500)")
    options.add_argument("--batch-size", type=positive, default=4, help="episodes in a batch (default: 4)")
    options.add_argument("--lr", type=rate, help="learning rate (default: the config's own)")
    options.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    options.add_argument("--output-dir", type=Path, default=Path("runs/parity"), help="where everything is written")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 where the losses agree, 1 where they do not, 2 for an error that the user can mend."""
    given = parser().parse_args(arguments)
    backends.exact(threads=os.cpu_count() or 1)
    from jsonargparse import ArgumentError

    from lightning_nsd.errors import UserError

    try:
        return run(given)
    except (UserError, ArgumentError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run(given: argparse.Namespace) -> int:
    """Train, compare, show, write."""
    import jax
    import torch
    from rich.console import Console

    from jax_reference.experiment import build_model
    from parity_tests.run import outcome as outcomes
    from parity_tests.run import pictures, samples, settings, sides

    output: Path = given.output_dir
    config, changes = settings.write_config(given.config, output, given.steps, given.batch_size, given.dtype, given.lr)
    config.data.prepare_data()
    support = samples.held_out_support(config.data, CLASSES, given.dtype)  # missing data is an error at once
    experiment = build_model(config.model)  # and so is what the reference does not have
    ours, module, initial = sides.train_torch(config)
    nudged = sides.train_nudged(config, output / "torch_nudged")
    theirs, ema = sides.train_jax(config, experiment, output / "jax", given.steps, module, initial)
    drawn = samples.sample_both(module, experiment, ema, support.images, IMAGES, given.dtype)
    outcome = outcomes.compare(ours, theirs, nudged, drawn, given.dtype)

    title = f"{Path(given.config).name}, {given.steps} steps of {config.data.batch_size} episodes, {given.dtype}"
    title += f", rate {given.lr:g}" if given.lr else ""
    written = [output / name for name in ("curves.png", "samples.png", "parity_run.json")]
    pictures.draw_curves(ours, theirs, outcome, title, written[0])
    pictures.draw_sample_rows(support, drawn, title, written[1])
    about = {
        "config": given.config,
        "changes": changes,
        "steps": given.steps,
        "batch_size": config.data.batch_size,
        "dtype": given.dtype,
        "torch_version": torch.__version__,
        "jax_version": jax.__version__,
    }
    outcome.write_json(about, written[2])
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    console.print(outcome.table(title))
    console.print(f"Written: {', '.join(map(str, written))}", soft_wrap=True)
    return 0 if outcome.passed else 1
