"""`python cli.py test|predict ...`: see README.md."""

from cliptrase.__main__ import console

if __name__ == "__main__":
    console()
