"""Arithmetic over pixels and patches: resampling, medians, logits, each a pure function of tensors."""
