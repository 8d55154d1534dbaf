"""The parts of `bench/accelerator.py`."""
