"""`python -m jax_reference fit --config glyphs.yaml`."""

import sys

from jax_reference.command import main

if __name__ == "__main__":
    sys.exit(main())
