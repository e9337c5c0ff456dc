"""What networks over images have in common: preprocessing, batches of images, mirror images."""
