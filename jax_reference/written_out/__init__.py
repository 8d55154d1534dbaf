"""What torch and its libraries bring along, written out."""
