"""``python -m recbole_kd`` does what run_kd.py does."""

import sys

from recbole_kd.cli import main

if __name__ == "__main__":
    sys.exit(main())
