"""Everything that names torch_xla, so that a successor is one folder too. Importing it does not import torch_xla."""

from lightning_nsd.xla.device import answer_for_lightning

answer_for_lightning()
