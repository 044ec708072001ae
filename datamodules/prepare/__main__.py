"""`python -m datamodules.prepare`."""

import sys

from datamodules.prepare.command import main

if __name__ == "__main__":
    sys.exit(main())
