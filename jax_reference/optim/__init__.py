"""Optimiser, learning rates, parameter groups and the moving average of the weights."""
