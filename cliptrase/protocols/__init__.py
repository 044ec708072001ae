"""Everything besides method and vocabulary that moves a score, as data; nothing here needs torch."""
