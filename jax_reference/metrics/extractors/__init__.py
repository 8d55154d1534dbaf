"""The network from images to the features that FID and KID compare, and the resizing in front of it."""
