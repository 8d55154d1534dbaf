"""Hostile input: settings, data, checkpoints, command lines and faults. Each ends in one clear answer, or works."""
