"""Processes that start with the large libraries imported: a fresh Python takes seconds of CPU time for them.

They are forked from a server, one for each pytest process. The server has imported neither RecBole nor recbole_kd.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch.multiprocessing

PRELOADED = ["torch", "torch._dynamo", "torch.utils.tensorboard", "pandas", "scipy.stats", "sklearn.metrics"]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOADED)


@contextmanager
def forked_workers() -> Iterator[None]:
    """Let a comparison start such processes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("recbole_kd.compare.executor.get_context", lambda method: CONTEXT)
        yield


@contextmanager
def forked_launches() -> Iterator[None]:
    """Let launch_processes start such processes. What they print is not captured by pytest's capfd."""
    start = partial(_start, torch.multiprocessing.start_processes)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(torch.multiprocessing, "start_processes", start)
        yield


def _start(stock: Callable[..., Any], *args: Any, start_method: str, **keys: Any) -> Any:
    assert start_method == "spawn"
    return stock(*args, start_method="forkserver", **keys)


def run_process(target: Callable[..., Any], *args: Any, folder: Path) -> tuple[int, str]:
    """Call a function in a process, whose exit code is what the function returns.

    Args:
        target: a function of a test module.
        args: its arguments, which can be pickled.
        folder: the current directory there.

    Returns:
        The exit code, negative for a signal, and what was written to the standard error.
    """
    errors = folder / "stderr.txt"
    process = CONTEXT.Process(target=_main, args=(target, args, folder, errors))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, errors.read_text()


def run_code(code: str, folder: Path, *paths: Path) -> tuple[int, str]:
    """Run code in a process that has imported neither RecBole nor recbole_kd.

    Args:
        code: Python code.
        folder: the current directory there.
        paths: folders in front of ``sys.path``.

    Returns:
        The exit code, 0 where the code raises nothing, and what was written to the standard error.
    """
    clean = "import sys\nassert not {'recbole', 'recbole_kd'} & set(sys.modules)\n"
    return run_process(exec, f"{clean}sys.path[:0] = {[str(path) for path in paths]}\n{code}", {}, folder=folder)


def _main(target: Callable[..., Any], args: tuple[Any, ...], folder: Path, errors: Path) -> None:
    os.chdir(folder)
    with open(errors, "wb") as stream:
        os.dup2(stream.fileno(), 2)
    raise SystemExit(target(*args))
