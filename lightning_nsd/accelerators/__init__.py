"""Devices that need a back end of their own: XLA by torch_xla, and TorchTPU. `device.py` is what the rest knows."""
