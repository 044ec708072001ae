"""From counted pixels to scores that say how they were made: intervals, tables, provenance."""
