"""``python -m recbole_kd`` and the command ``recbole-kd`` do what run_kd.py does."""

import sys

from recbole_kd._interrupt import exit_on_interrupt
from recbole_kd.compat import require_recbole


def main() -> int:
    """Run the command line; returns the exit code."""
    try:
        require_recbole()  # with the command that installs it, before an import of RecBole fails
        with exit_on_interrupt():
            from recbole_kd.cli import main as run
    except ImportError as error:
        print(error, file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
