"""Where precision is low: both sides run in it, and how far they may part is derived from the network itself."""
