"""Distances between two sets of images: pure functions of features first, the networks and the shells around them."""
