"""`python -m geolib` is the command `geolib`."""

import sys

from geolib.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
