"""The command line: which command runs, and what its exit status is."""

import importlib
import signal
import sys
import warnings
from collections.abc import Sequence

from jsonargparse import ArgumentError
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lightning_nsd import __version__
from lightning_nsd.commands.training import LIGHTNING_COMMANDS, OTHER_COMMANDS, FewShotCLI
from lightning_nsd.errors import UserError
from lightning_nsd.messages import readable, user_error_in
from lightning_nsd.processes.end import ends_as_one
from lightning_nsd.processes.stopping import StoppedError
from lightning_nsd.settings.config_files import with_config_paths
from lightning_nsd.terminal import drop_output, prepare_streams, reader_is_gone

UNFOUNDED_WARNINGS = (
    r"Found \d+ module\(s\) in eval mode",  # the moving average is always in evaluation mode
    r"You're resuming from a checkpoint that ended before the epoch ended",  # episodes follow from the step
)
COMMANDS = ", ".join((*LIGHTNING_COMMANDS, *OTHER_COMMANDS))
USAGE = """\
usage: python -m lightning_nsd COMMAND [options]

Few-shot diffusion: five pictures of something in, new pictures of the same thing out.

  fit       train a model; --config names a file or a shipped config
  validate  loss, pictures and distances of a checkpoint on the validation classes
  test      the same on the test classes
  predict   draw images of the test classes
  sample    a few pictures of anything in, new ones of the same kind out
  evaluate  the distance of every class, of a checkpoint or of two folders of images
  report    one page of a run, or of two beside each other: curves, pictures, classes, what to trust
  demo      a page to draw examples on, and to see what a model makes of them
  convert   checkpoints between Lightning, safetensors, the JAX reference and a folder for hubs
  push      a model and its card to a hub

COMMAND --help shows a command's options, --version the version."""


def run(arguments: Sequence[str]) -> None:
    """Run one command.

    Raises:
        UserError: no command, or one that there is not.
    """
    for message in UNFOUNDED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    command = arguments[0] if arguments else ""
    if not command:
        raise UserError(f"Name a command: {COMMANDS}. --help says what each does.")
    if command in ("-h", "--help"):
        print(USAGE)
    elif command == "--version":
        print(f"lightning-nsd {__version__}")
    elif command in OTHER_COMMANDS:
        module = importlib.import_module(f"lightning_nsd.commands.{command}")
        module.main(arguments[1:])
    elif not command.startswith("-") and command not in LIGHTNING_COMMANDS:
        raise UserError(f"There is no command {command}. Commands: {COMMANDS}.")
    else:
        sys.argv = [sys.argv[0], *with_config_paths(arguments)]
        with ends_as_one():
            FewShotCLI()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 2 for an error that the user can mend; 128 + the number of the signal that ended it, SIGPIPE
        where nobody reads the output any more; or Lightning's own.
    """
    try:
        status = _status_of(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        if not reader_is_gone():
            raise
        drop_output()
        return 128 + signal.SIGPIPE
    return status


def _status_of(arguments: Sequence[str]) -> int:
    try:
        prepare_streams()
        run(arguments)
    except SIGTERMException:  # a SystemExit of 0 up to Lightning 2.6, of 143 after it
        return _stopped(signal.SIGTERM)
    except SystemExit as stop:  # --help, --print_config, and Lightning's way to end an interrupted run
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        return _stopped(signal.SIGINT)
    except StoppedError as stop:
        return _stopped(stop.number)
    except ArgumentError as error:
        return _refuse(readable(str(user_error_in(error) or error)))
    except MemoryError as error:
        return _refuse(f"There is not enough memory. {error}".strip())
    except Exception as error:
        _raise_broken_pipe_in(error)
        explained = user_error_in(error)
        if explained is None:
            raise
        return _refuse(str(explained))
    return 0


def _raise_broken_pipe_in(error: BaseException | None) -> None:
    """A reader that has left is no file that could not be written, whatever was made of it on the way."""
    while error is not None:
        if isinstance(error, BrokenPipeError):
            raise error
        error = error.__cause__ or error.__context__


def _stopped(number: int) -> int:
    print(f"Stopped by {signal.Signals(number).name}.", file=sys.stderr)
    return 128 + number


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2
