"""What happens around training: checkpoints, pictures, progress, safeguards."""
