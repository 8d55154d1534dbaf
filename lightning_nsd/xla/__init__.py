"""Everything that names torch_xla, so that a successor is one folder too. Importing it does not import torch_xla."""
