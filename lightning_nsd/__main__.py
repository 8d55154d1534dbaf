"""`python -m lightning_nsd`."""

import sys

from lightning_nsd.cli import main

if __name__ == "__main__":
    sys.exit(main())
