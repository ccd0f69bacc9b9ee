"""``python -m recbole_kd`` and the command ``recbole-kd`` do what run_kd.py does."""

import sys


def main() -> int:
    """Run the command line; returns the exit code. Ctrl-C during the import ends it without a traceback."""
    try:
        from recbole_kd.compat import require_recbole

        require_recbole()  # with the command that installs it, before an import of RecBole fails
        from recbole_kd.cli import main as run
    except ImportError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("recbole_kd: interrupted", file=sys.stderr)
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
