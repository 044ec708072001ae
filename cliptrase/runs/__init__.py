"""A run under a Lightning Trainer: module, folder, callbacks."""
