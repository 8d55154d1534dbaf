"""The command line: `fit` from a config of lightning_nsd."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    commands = argparse.ArgumentParser(prog="python -m jax_reference", description=__doc__)
    fit = commands.add_subparsers(dest="command", required=True).add_parser("fit", help="train")
    fit.add_argument("--config", required=True, help="a config's path, or the name of a shipped one")
    fit.add_argument("--output-dir", type=Path, help="the run's folder (default: the config's, with -jax)")
    fit.add_argument("--max-steps", type=int, help="optimiser steps (default: the config's)")
    fit.add_argument("--resume", action="store_true", help="continue from the checkpoint in the run's folder")
    return commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 2 for an error that the user can mend."""
    given = parser().parse_args(arguments)
    from jax_reference.config import read_config
    from jax_reference.train import CHECKPOINT, fit
    from lightning_nsd.errors import UserError

    try:
        config = read_config(given.config)
        max_steps = config.max_steps if given.max_steps is None else given.max_steps
        if max_steps < 1:
            raise UserError(f"{config.path} names no trainer.max_steps: give --max-steps.")
        root = given.output_dir or config.root.with_name(f"{config.root.name}-jax")
        if (root / CHECKPOINT).exists() and not given.resume:
            raise UserError(f"{root} holds a training already: go on with --resume, or name another --output-dir.")
        config.data.prepare_data()
        config.data.setup("fit")
        fit(config, root, max_steps, given.resume)
    except (UserError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Written: {root / CHECKPOINT}")
    return 0
