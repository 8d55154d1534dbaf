"""The folder of a run: who writes to it, and which of its checkpoints is the newest."""
