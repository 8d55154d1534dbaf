"""Small mistakes in the torch side, each of which the ladder must notice."""
