"""A page that a person reads: figures beside the published ones, classes, example sheets, and how they were made.

The page needs no network: styles and pictures are in it. A run writes it beside `results.json`; from older runs, or
from several for a side-by-side:

    python -m cliptrase.report results.json [more.json ...] [--out FILE]
"""
