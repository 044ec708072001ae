"""A page that a person reads: scores beside the published ones, classes, example sheets, and how they were made.

The page needs no network: styles and pictures are in it. A run writes it beside `results.json`; `cli.py report` makes
it of older runs, or of several side by side.
"""
