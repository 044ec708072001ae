"""CLIP as this house sees it: weights, towers, text."""
