"""Studies: why a figure is what it is, from the same pass over the images."""
