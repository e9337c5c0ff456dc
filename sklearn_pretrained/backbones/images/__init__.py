"""What networks over images have in common: preprocessing, batches of pictures, mirror images."""
