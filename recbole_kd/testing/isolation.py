"""Keeps what RecBole writes to the process and the working directory away from other tests."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def remove_log_files() -> None:
    """Detach the file handlers of the root logger, which write to the working directory of an earlier test."""
    for handler in logging.getLogger().handlers[:]:
        if isinstance(handler, logging.FileHandler):
            logging.getLogger().removeHandler(handler)


def protect_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore CUDA_VISIBLE_DEVICES at the end: RecBole overwrites it with ``gpu_id``, and child processes read it."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", os.environ["CUDA_VISIBLE_DEVICES"])


@contextmanager
def working_directory(folder: Path) -> Iterator[Path]:
    """Work in a folder for a while, for fixtures that outlive a test.

    RecBole writes ``log/`` and ``log_tensorboard/`` to the current directory.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        protect_environment(monkeypatch)
        monkeypatch.chdir(folder)
        remove_log_files()
        yield folder
