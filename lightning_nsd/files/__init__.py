"""Files and folders that are either whole or not there, and what is kept in them."""
