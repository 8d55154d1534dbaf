"""`python -m parity_tests.run --config glyphs.yaml --steps 500`."""

import sys

from parity_tests.run.command import main

if __name__ == "__main__":
    sys.exit(main())
