"""Ctrl-C while the package is imported, which takes seconds: the command ends without a traceback."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from recbole_kd.usage import asks_for_help

EXIT_CODE = 130


def is_recbole_kd_command() -> bool:
    """Whether this process is one of our commands, and not a program that imports the package."""
    is_module = sys.argv[:1] == ["-m"] and "recbole_kd" in sys.orig_argv
    return is_module or (bool(sys.argv) and Path(sys.argv[0]).stem in ("recbole-kd", "run_kd"))


def is_help_command() -> bool:
    """Whether this process is one of our commands and only prints a help page, or checks the environment.

    A run_kd.py is ours where it lies beside the package: a program of the same name may import RecBole before it reads
    its arguments.
    """
    program = Path(sys.argv[0]) if sys.argv else Path()
    is_another = program.stem == "run_kd" and program.resolve().parent != Path(__file__).resolve().parents[1]
    return is_recbole_kd_command() and (asks_for_help(sys.argv[1:]) or sys.argv[1:] == ["doctor"]) and not is_another


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process at once inside the block.

    An exception would not do: Python, and modules while they are imported, turn a KeyboardInterrupt into other errors.
    A handler of the program's own, or an ignored signal, is left as it is.
    """
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_default or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"recbole_kd: interrupted\n")
    os._exit(EXIT_CODE)
