"""What becomes of the names' maps at the label map's own size before the highest name is taken."""
