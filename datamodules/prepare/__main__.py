"""`python -m datamodules.prepare`."""

import sys

from cliptrase.common.console import run
from datamodules.prepare.command import main

if __name__ == "__main__":
    sys.exit(run(main))
