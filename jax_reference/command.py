"""The command line: `fit` from a config of lightning_nsd."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    commands = argparse.ArgumentParser(prog="python -m jax_reference", description=__doc__)
    fit = commands.add_subparsers(dest="command", required=True).add_parser("fit", help="train")
    fit.add_argument(
        "--config",
        required=True,
        action="append",
        help="a config's path, or the name of a shipped one; given again, the next is laid over it",
    )
    fit.add_argument("--output-dir", type=Path, help="the run's folder (default: the config's, with -jax)")
    fit.add_argument("--max-steps", type=int, help="optimiser steps (default: the config's)")
    fit.add_argument("--resume", action="store_true", help="continue from the checkpoint in the run's folder")
    return commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 2 for an error that the user can mend."""
    given = parser().parse_args(arguments)
    from lightning_nsd.errors import UserError
    from lightning_nsd.processes.stopping import StoppedError, stoppable

    try:
        with stoppable():
            written = run(given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, StoppedError) as stop:
        number = stop.number if isinstance(stop, StoppedError) else signal.SIGINT
        print(f"Stopped by {signal.Signals(number).name}; --resume goes on.", file=sys.stderr)
        return 128 + number
    print(f"Written: {written}")
    return 0


def run(given: argparse.Namespace) -> Path:
    """Train as the command line says; the checkpoint's place."""
    from jax_reference.config import read_config
    from jax_reference.train import CHECKPOINT, fit
    from jax_reference.trainer_settings import check_trainer
    from lightning_nsd.errors import UserError
    from lightning_nsd.files.whole_folder import find_folder
    from lightning_nsd.runs.lock import locked

    config = read_config(*given.config)
    check_trainer(config.content.get("trainer") or {}, config.path)
    max_steps = config.max_steps if given.max_steps is None else given.max_steps
    if max_steps < 1:
        raise UserError(f"{config.path} names no trainer.max_steps: give --max-steps.")
    root: Path | None = given.output_dir or (config.root and config.root.with_name(f"{config.root.name}-jax"))
    if root is None:
        raise UserError(f"{config.path} names no trainer.default_root_dir: give --output-dir.")
    with locked(root, "--output-dir"):
        if find_folder(root / CHECKPOINT).exists() and not given.resume:
            raise UserError(f"{root} holds a training already: go on with --resume, or name another --output-dir.")
        config.data.prepare_data()
        config.data.image_set("train")  # what is wrong with it is said before anything is compiled
        fit(config, root, max_steps, given.resume)
    return root / CHECKPOINT
