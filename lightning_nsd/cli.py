"""The command line: which command runs, and what its exit status is."""

import importlib
import signal
import sys
import warnings
from collections.abc import Sequence

from jsonargparse import ArgumentError
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lightning_nsd.config_files import with_config_paths
from lightning_nsd.errors import UserError
from lightning_nsd.messages import readable, user_error_in
from lightning_nsd.training_cli import LIGHTNING_COMMANDS, OTHER_COMMANDS, FewShotCLI

UNFOUNDED_WARNINGS = (
    r"Found \d+ module\(s\) in eval mode",  # the moving average is always in evaluation mode
    r"You're resuming from a checkpoint that ended before the epoch ended",  # episodes follow from the step
)


def run(arguments: Sequence[str]) -> None:
    """Run one command."""
    for message in UNFOUNDED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    command = arguments[0] if arguments else ""
    if command in OTHER_COMMANDS:
        module = importlib.import_module(f"lightning_nsd.{command}")
        module.main(arguments[1:])
    elif command and not command.startswith("-") and command not in LIGHTNING_COMMANDS:
        known = ", ".join((*LIGHTNING_COMMANDS, *OTHER_COMMANDS))
        raise UserError(f"There is no command {command}. Commands: {known}.")
    else:
        sys.argv = [sys.argv[0], *with_config_paths(arguments)]
        FewShotCLI()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, 2 for an error that the user can mend, or Lightning's own."""
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except SIGTERMException:
        return 128 + signal.SIGTERM
    except ArgumentError as error:
        print(f"error: {readable(str(user_error_in(error) or error))}", file=sys.stderr)
        return 2
    except Exception as error:
        explained = user_error_in(error)
        if explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        return 2
    return 0
