"""`python -m datamodules.doctor`."""

import sys

from cliptrase.common.console import run
from datamodules.doctor.command import main

if __name__ == "__main__":
    sys.exit(run(main, prints=True))
