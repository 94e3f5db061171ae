"""`python -m stnopt` is the command `stnopt`."""

import sys

from stnopt.cli import main

if __name__ == "__main__":
    sys.exit(main())
