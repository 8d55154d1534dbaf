"""A model that travels: its folder with a card, and the way to a hub."""
