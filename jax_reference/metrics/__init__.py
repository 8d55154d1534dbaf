"""Distances between two sets of images, and the network whose features they compare."""
