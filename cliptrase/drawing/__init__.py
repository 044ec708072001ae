"""Pictures that people look at: palette, overlays, sheets and charts."""
