"""Checkpoint files: reading, writing, what they hold, and the model that one describes."""
