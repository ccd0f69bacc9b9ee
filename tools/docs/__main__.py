"""Write or check the generated parts of the documentation.

python -m tools.docs            write everything
python -m tools.docs figures    write the figures alone
python -m tools.docs --check    name what is out of date, a line each; exit code 1 where something is
"""

import argparse
import sys

from tools.docs.files import generated_files
from tools.docs.pages import filled_pages, write_changed
from tools.docs.prose import missing_figures


def main(words: list[str]) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.docs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("all", "figures"), default="all")
    parser.add_argument("--check", action="store_true", help="write nothing; name what is out of date")
    options = parser.parse_args(words)
    only_figures = options.what == "figures"
    contents = generated_files(only_figures) | ({} if only_figures else filled_pages())
    changed = write_changed(contents, write=not options.check)
    if not options.check:
        print("\n".join(f"written: {name}" for name in changed) or "nothing has changed")
        return 0
    problems = [f"{name} is out of date: run python -m tools.docs" for name in changed]
    problems += [] if only_figures else missing_figures()
    print("\n".join(problems) or "the documentation is up to date")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
