"""From counted pixels to figures that say how they were made: intervals, tables, provenance."""
