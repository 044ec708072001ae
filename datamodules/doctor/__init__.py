"""Looks through the folders of data sets and says what is wrong with them.

`python -m datamodules.doctor --root DIR [--setting NAME ...] [--json]`
"""
