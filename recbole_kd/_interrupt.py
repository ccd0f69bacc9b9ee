"""Ctrl-C while the package is imported, which takes seconds: the command ends without a traceback."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

EXIT_CODE = 130


def is_own_command() -> bool:
    """Whether this process is one of our commands, and not a program that imports the package."""
    is_module = sys.argv[:1] == ["-m"] and "recbole_kd" in sys.orig_argv
    return is_module or (bool(sys.argv) and Path(sys.argv[0]).stem in ("recbole-kd", "run_kd"))


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
