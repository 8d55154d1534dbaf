"""Pairs that others wrote: `make parity-examples`. Each script is what a user would write."""
