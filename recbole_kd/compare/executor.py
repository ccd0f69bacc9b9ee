"""Executors for the runs of a comparison: this process, or worker processes that end when this process does."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import torch


class InlineExecutor:
    """An executor that runs each call in this process, before ``submit`` returns."""

    def submit(self, function: Callable[..., Any], *args: Any) -> Future:
        """Call ``function(*args)``. Returns a future that already holds its result.

        An exception of the call ends the comparison: the functions of a run return their failures as text.
        """
        future: Future = Future()
        future.set_result(function(*args))
        return future


@contextmanager
def make_executor(processes: int) -> Iterator[InlineExecutor | ProcessPoolExecutor]:
    """An executor for several runs at a time. Each run has one thread, so its result does not depend on their number.

    The worker processes end at once when the block is left by an exception, or when this process is killed.

    Args:
        processes: number of runs at a time; 1: in this process.
    """
    if processes == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield InlineExecutor()
        finally:
            torch.set_num_threads(threads)
        return
    context = get_context("spawn")
    worker_end, parent_end = context.Pipe(duplex=False)
    workers = ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker, initargs=(worker_end,))
    try:
        yield workers
    except BaseException:
        parent_end.close()
        raise
    finally:
        workers.shutdown(cancel_futures=True)
        parent_end.close()
        worker_end.close()


def _start_worker(worker_end: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal: the parent handles it
    torch.set_num_threads(1)
    Thread(target=_exit_with_parent, args=(worker_end,), daemon=True).start()


def _exit_with_parent(worker_end: Connection) -> None:
    connection.wait([worker_end])  # returns when the parent closes its end or dies
    os._exit(1)
