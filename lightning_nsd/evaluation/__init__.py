"""How well each class is generated: which classes, generating their images, comparing them, showing the result."""
