"""What others can check: figures of a run from its counts, runs against one another, weights against known facts."""
