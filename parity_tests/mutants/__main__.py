"""`python -m parity_tests.mutants`."""

import sys

from parity_tests.mutants.run import main

if __name__ == "__main__":
    sys.exit(main())
