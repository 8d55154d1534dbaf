"""Rung 9: one YAML trained in both frameworks, from the same weights, on the same episodes, with the same noise."""
