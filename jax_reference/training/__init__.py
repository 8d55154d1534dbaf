"""A training step: random numbers, the loss of episodes, learning rates, moving average."""
