"""Faults planted on purpose in a pair of small networks: how many are found, named and explained."""
