"""Everything that names torch_xla. Importing it does not import torch_xla."""
