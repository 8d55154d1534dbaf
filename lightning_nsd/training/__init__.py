"""A training step: random numbers, the loss of episodes, their bits, learning rates, moving average."""
