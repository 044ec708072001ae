"""`python cli.py test|predict ...`: see README.md."""

import sys

from cliptrase.cli import main

if __name__ == "__main__":
    sys.exit(main())
