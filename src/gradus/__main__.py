"""``python -m gradus`` and ``torchrun ... -m gradus``: the command line."""

import sys

from gradus.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
