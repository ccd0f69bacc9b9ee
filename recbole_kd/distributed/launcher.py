"""Several processes: who takes part, how they are started, and how they end."""

import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import torch
import torch.multiprocessing
from torch import distributed

from recbole_kd.distributed.process_group import PeerLost, ProcessInfo
from recbole_kd.errors import KDError

DEFAULT_PORT = 5678  # RecBole's
GRACE_SECONDS = 3.0  # seconds that the others have to say what they died of


def process_layout(config):
    """The Places on this machine that nproc, world_size, group_offset, ip and port come to; under torchrun its own one.

    Raises:
        KDError: numbers that do not go together, fewer GPUs than processes.
    """
    found = [_layout_from_torchrun(config)] if started_by_torchrun() else _layout_from_keys(config)
    world, nproc = found[0].world_size, found[0].nproc
    if world > 1 and config["device"].type == "cuda" and torch.cuda.device_count() < nproc:
        raise KDError(
            f"{nproc} processes need as many GPUs, and gpu_id={config['gpu_id']} gives {torch.cuda.device_count()}: "
            "write --gpu_id=0,1 and so on, or --gpu_id= for the CPU"
        )
    return found


def _layout_from_keys(config):
    nproc, first = config["nproc"], config["group_offset"]
    world = config["world_size"] if config["world_size"] > 0 else nproc
    if first + nproc > world:
        raise KDError(
            f"world_size={world} is out of range: {nproc} processes from number {first} on need {first + nproc} or more"
        )
    port = config["port"] or (_free_port() if nproc == world > 1 else DEFAULT_PORT)
    meeting = f"tcp://{config['ip']}:{port}"
    return [ProcessInfo(first + local, world, local, nproc, meeting) for local in range(nproc)]


def started_by_torchrun():
    """Whether torchrun started this process."""
    return distributed.is_available() and distributed.is_torchelastic_launched()


def _layout_from_torchrun(config):
    if config["nproc"] > 1 or config["world_size"] > 0:
        raise KDError("torchrun says how many processes there are: leave nproc and world_size out")
    rank, world, local, nproc = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    return ProcessInfo(rank, world, local, nproc, "env://")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def launch_processes(target, own, args):
    """Call ``target(place, *args)`` in a process of its own for each of the Places ``own``.

    Returns:
        What the first of all processes returned; None where it is on another machine.

    Raises:
        ChildProcessError: one was ended from outside.
        Exception: what one of them raised. The others are ended in either case.
    """
    with tempfile.TemporaryDirectory() as folder:
        started = torch.multiprocessing.start_processes(
            _run_process, (target, own, args, folder), nprocs=len(own), join=False, start_method="spawn"
        )
        try:
            _wait_for_exit(started.processes)
            codes = [process.exitcode for process in started.processes]  # before the rest is ended
        finally:
            _terminate(started.processes)
        answers = [_read_answer(Path(folder) / str(place.rank)) for place in own]
    _raise_failure(own, codes, answers)
    return answers[0][0] if own[0].rank == 0 else None


def _run_process(local, target, own, args, folder):
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    place, said, error, trace = own[local], None, None, ""
    try:
        said = target(place, *args)
    except Exception as caught:
        error, trace = caught, traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an exception with a constructor of its own
            error = RuntimeError(f"{type(caught).__name__}: {caught}")
    try:
        (Path(folder) / str(place.rank)).write_bytes(pickle.dumps((said, error, trace)))
    except OSError:  # of a disk that is full, say: the parent finds no answer, or part of one
        sys.exit(1)
    if error:
        sys.exit(1)


def _exit_with_parent():
    # torch sends SIGINT then, which is ignored in what a shell has started in its background
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _wait_for_exit(processes):
    """Until all have ended well, or one has not; then the others have a moment: it may be one of them that ended it."""
    left, until = {process.sentinel: process for process in processes}, None
    while left and (until is None or time.monotonic() < until):
        for sentinel in multiprocessing.connection.wait(list(left), until and max(0.0, until - time.monotonic())):
            process = left.pop(sentinel)
            process.join()
            if process.exitcode and until is None:
                until = time.monotonic() + GRACE_SECONDS


def _terminate(processes):
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(10)
        if process.exitcode is None:
            process.kill()
            process.join()


def _read_answer(file):
    try:
        return pickle.loads(file.read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError):
        return None, None, ""


def _raise_failure(own, codes, answers):
    """The cause before what follows from it: an error, a process that was ended from outside, one that was left."""
    errors = [(error, trace) for _, error, trace in answers if error is not None]
    errors.sort(key=lambda found: isinstance(found[0], PeerLost))
    killed = [(place.rank, -code) for place, code in zip(own, codes, strict=True) if code is not None and code < 0]
    if killed and all(isinstance(error, PeerLost) for error, _ in errors):
        number, by = killed[0]
        raise ChildProcessError(
            f"process {number} of {own[0].world_size} was ended from outside ({signal.Signals(by).name}; is there too "
            "little memory for so many?): the same command with --resume=True goes on"
        )
    if errors:
        error, trace = errors[0]
        raise error from RuntimeError(f"in a process of its own:\n{trace}")
    if any(codes):
        raise ChildProcessError(
            f"one of {own[0].world_size} processes ended without a word: exit codes {codes}; is there room for temporary "
            f"files in {tempfile.gettempdir()}?"
        )
