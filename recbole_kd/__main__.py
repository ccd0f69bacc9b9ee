"""``python -m recbole_kd`` does what run_kd.py does."""

import sys

from recbole_kd.compat import require_recbole

if __name__ == "__main__":
    require_recbole()  # with the command that installs it, before an import of RecBole fails
    from recbole_kd.cli import main

    sys.exit(main())
