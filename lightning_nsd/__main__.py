"""`python -m lightning_nsd`."""

import os
import signal
import sys
from types import FrameType


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"Stopped by SIGINT.\n")
    os._exit(128 + number)


def main() -> int:
    """Import the program and run it. Ctrl-C during the import, which takes seconds, needs no account of it."""
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell lets background jobs ignore it
    if default:
        signal.signal(signal.SIGINT, _leave)
    from lightning_nsd import cli

    if default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
