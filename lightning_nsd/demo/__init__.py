"""The page of `demo`: a few letters drawn, or pictures dropped, and new ones of the same kind."""
