"""How well each class is drawn: which images to draw, drawing them, comparing them, and showing the result."""
