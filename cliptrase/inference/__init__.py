"""From encoded pictures to label maps: whole, or window by window."""
