"""The rungs of the ladder, each a function from a pair of models to its checks."""
