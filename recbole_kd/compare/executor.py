"""Where runs are computed: here, one after the other, or in processes that end when this one does."""

import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context
from threading import Thread

import torch


class InlineExecutor:
    """An executor of one place: what is submitted has ended when ``submit`` returns."""

    def submit(self, function, *args):
        future: Future = Future()
        future.set_result(function(*args))  # what it raises ends the comparison: functions of runs answer with a line
        return future


@contextmanager
def make_executor(processes):
    """An executor for ``processes`` runs at a time, each on one thread: a result does not depend on their number.

    The processes end at once when the block is left by an exception, or when this process is killed.
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
    life, mine = context.Pipe(duplex=False)
    workers = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(life,))
    try:
        yield workers
    except BaseException:
        mine.close()
        raise
    finally:
        workers.shutdown(cancel_futures=True)
        mine.close()
        life.close()


def _begin(life):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal: the first one decides
    torch.set_num_threads(1)
    Thread(target=_end_with, args=(life,), daemon=True).start()


def _end_with(life):
    connection.wait([life])  # its other end is closed, or the process that held it is gone
    os._exit(1)
