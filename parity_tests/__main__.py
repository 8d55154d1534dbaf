"""`python -m parity_tests --config cifar100.yaml`."""

import sys

from parity_tests.command import main

if __name__ == "__main__":
    sys.exit(main())
