"""``python -m recbole_kd`` and the command ``recbole-kd`` do what run_kd.py does."""

import importlib
import sys

from recbole_kd._interrupt import exit_on_interrupt
from recbole_kd.doctor import report
from recbole_kd.usage import print_help


def main() -> int:
    """Run the command line; returns the exit code."""
    if (code := print_help(sys.argv[1:])) is not None:
        return code
    if sys.argv[1:] == ["doctor"]:
        text, code = report()
        print(text)
        return code
    try:
        importlib.import_module(
            "recbole_kd.compat"
        ).require_recbole()  # with the command that installs it, before an import of RecBole fails
        with exit_on_interrupt():
            from recbole_kd.cli import main as run
    except ImportError as error:
        print(error, file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
