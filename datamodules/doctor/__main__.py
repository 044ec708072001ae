"""`python -m datamodules.doctor`."""

import sys

from datamodules.doctor.command import main

if __name__ == "__main__":
    sys.exit(main())
