"""TPUs under TorchTPU. Never run on one: written against the package's documentation and its release 0.2.0."""
